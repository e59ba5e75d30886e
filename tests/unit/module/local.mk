# Unit tests of module.
