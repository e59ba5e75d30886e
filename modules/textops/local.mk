# modules/textops: see modules/README.md for the pattern.
