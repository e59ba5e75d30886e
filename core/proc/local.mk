# Files of core/proc: one line each.
libringfort_a_SOURCES +=
