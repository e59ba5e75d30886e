# modules/xlog: see modules/README.md for the pattern.
