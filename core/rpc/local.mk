# Files of core/rpc: one line each.
libringfort_a_SOURCES +=
