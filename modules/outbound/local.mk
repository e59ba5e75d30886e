# modules/outbound: see modules/README.md for the pattern.
module_PROGRAMS += modules/outbound.so
modules_outbound_so_SOURCES = modules/outbound/outbound.c modules/outbound/outbound_api.h
modules_outbound_so_LDFLAGS = $(RF_MODULE_LINK)
