# modules/corex
module_PROGRAMS += modules/corex.so
modules_corex_so_SOURCES = modules/corex/corex.c modules/corex/corex_send.c modules/corex/corex_file.c modules/corex/corex_priv.h
modules_corex_so_LDFLAGS = $(RF_MODULE_LINK)
