# Files of core/proc: one line each.
libringfort_a_SOURCES += core/proc/proc.c core/proc/proc.h core/proc/proc_priv.h
libringfort_a_SOURCES += core/proc/child.c core/proc/proc_table.c core/proc/surround.c core/proc/watchdog.c
libringfort_a_SOURCES += core/proc/work.c core/proc/memory.c
libringfort_a_SOURCES += core/proc/logd.c core/proc/logd.h
libringfort_a_SOURCES += core/proc/trap.c core/proc/trap.h core/proc/symbol.c
