# modules/usrloc: see modules/README.md for the pattern.
