# Unit tests of proc.
