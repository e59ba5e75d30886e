# Unit tests of route.
