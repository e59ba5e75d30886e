# modules/siputils: see modules/README.md for the pattern.
