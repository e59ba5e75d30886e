# Files of core/settings: one line each.
libringfort_a_SOURCES +=
