# modules/tm: see modules/README.md for the pattern.
