# Unit tests of shm.
