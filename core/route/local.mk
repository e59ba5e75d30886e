# Files of core/route: one line each.
libringfort_a_SOURCES +=
