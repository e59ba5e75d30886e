# Files of core/module: one line each.
libringfort_a_SOURCES +=
