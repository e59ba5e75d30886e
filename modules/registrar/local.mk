# modules/registrar: see modules/README.md for the pattern.
