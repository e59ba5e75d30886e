# modules/db_sqlite: see modules/README.md for the pattern.
