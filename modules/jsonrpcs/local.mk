# modules/jsonrpcs: see modules/README.md for the pattern.
