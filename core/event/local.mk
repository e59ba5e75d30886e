# Files of core/event: one line each.
libringfort_a_SOURCES += core/event/doorbell.c core/event/doorbell.h
libringfort_a_SOURCES += core/event/group.c core/event/group.h
libringfort_a_SOURCES += core/event/loop.c core/event/loop.h
