# Files of core/db: one line each.
libringfort_a_SOURCES +=
