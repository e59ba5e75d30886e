# Files of core/net: one line each.
libringfort_a_SOURCES += core/net/addr.c core/net/addr.h
libringfort_a_SOURCES += core/net/listener.c core/net/listener.h
