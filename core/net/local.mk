# Files of core/net: one line each.
libringfort_a_SOURCES +=
