# Files of core/tm: one line each.
libringfort_a_SOURCES +=
