# modules/counters
module_PROGRAMS += modules/counters.so
modules_counters_so_SOURCES = modules/counters/counters.c
modules_counters_so_LDFLAGS = $(RF_MODULE_LINK)
