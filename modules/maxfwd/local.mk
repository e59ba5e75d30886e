# modules/maxfwd: see modules/README.md for the pattern.
