# modules/pike: see modules/README.md for the pattern.
