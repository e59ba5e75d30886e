# Files of shm: one line each.
libringfort_a_SOURCES +=
