# Files of core/event: one line each.
libringfort_a_SOURCES +=
