# core/tm
libringfort_a_SOURCES += core/tm/tm.h core/tm/out.h core/tm/out.c
