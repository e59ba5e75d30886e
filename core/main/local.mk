# Files of core/main: one line each.
libringfort_a_SOURCES +=
