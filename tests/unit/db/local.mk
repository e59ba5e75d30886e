# Unit tests of db.
