# modules/statistics
module_PROGRAMS += modules/statistics.so
modules_statistics_so_SOURCES = modules/statistics/statistics.c
modules_statistics_so_LDFLAGS = $(RF_MODULE_LINK)
