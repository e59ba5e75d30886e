module_PROGRAMS += modules/rr.so
modules_rr_so_SOURCES = modules/rr/rr.c modules/rr/rr_api.h
modules_rr_so_LDFLAGS = $(RF_MODULE_LINK)
