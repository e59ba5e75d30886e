# Files of core/sip: one line each.
libringfort_a_SOURCES +=
