# Files of core/pv: one line each.
libringfort_a_SOURCES += core/pv/pv.c core/pv/pv.h core/pv/pv_priv.h
libringfort_a_SOURCES += core/pv/pv_core.c
libringfort_a_SOURCES += core/pv/var.c
libringfort_a_SOURCES += core/pv/fmt.c core/pv/fmt.h
libringfort_a_SOURCES += core/pv/trans.c core/pv/trans.h
libringfort_a_SOURCES += core/pv/stat.c core/pv/stat.h
