# modules/auth_db: see modules/README.md for the pattern.
