# modules/kex: see modules/README.md for the pattern.
