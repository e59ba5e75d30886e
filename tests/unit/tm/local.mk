# Unit tests of tm.
