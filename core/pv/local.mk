# Files of core/pv: one line each.
libringfort_a_SOURCES +=
