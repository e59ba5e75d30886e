# modules/sl: see modules/README.md for the pattern.
