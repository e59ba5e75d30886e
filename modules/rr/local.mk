# modules/rr: see modules/README.md for the pattern.
