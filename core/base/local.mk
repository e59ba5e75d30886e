# Files of core/base: one line each.
libringfort_a_SOURCES +=
