module_PROGRAMS += modules/maxfwd.so
modules_maxfwd_so_SOURCES = modules/maxfwd/maxfwd.c
modules_maxfwd_so_LDFLAGS = $(RF_MODULE_LINK)
