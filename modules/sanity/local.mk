# modules/sanity: see modules/README.md for the pattern.
