# Files of core/module: one line each.
libringfort_a_SOURCES += core/module/abi.h
libringfort_a_SOURCES += core/module/loader.c core/module/loader.h
libringfort_a_SOURCES += core/module/params.c core/module/params.h
