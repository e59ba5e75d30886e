# modules/xlog: see modules/README.md for the pattern.
module_PROGRAMS += modules/xlog.so
modules_xlog_so_SOURCES = modules/xlog/xlog.c
modules_xlog_so_LDFLAGS = $(RF_MODULE_LINK)
