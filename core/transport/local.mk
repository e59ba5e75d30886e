# Files of core/transport: one line each.
libringfort_a_SOURCES +=
