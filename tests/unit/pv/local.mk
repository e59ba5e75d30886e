# Unit tests of pv.
