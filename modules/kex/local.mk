# modules/kex: see modules/README.md for the pattern.
module_PROGRAMS += modules/kex.so
modules_kex_so_SOURCES = modules/kex/kex.c modules/kex/kex_mem.c modules/kex/kex_mem.h
modules_kex_so_LDFLAGS = $(RF_MODULE_LINK)
