# Unit tests of script.
