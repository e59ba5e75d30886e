# modules/auth: see modules/README.md for the pattern.
