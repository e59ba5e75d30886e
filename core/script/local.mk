# Files of core/script: one line each.
libringfort_a_SOURCES +=
