# Unit tests of main.
