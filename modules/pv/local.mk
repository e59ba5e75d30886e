# modules/pv: see modules/README.md for the pattern.
