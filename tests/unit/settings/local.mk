# Unit tests of settings.
