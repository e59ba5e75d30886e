# modules/htable: see modules/README.md for the pattern.
