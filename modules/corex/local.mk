# modules/corex
module_PROGRAMS += modules/corex.so
modules_corex_so_SOURCES = modules/corex/corex.c modules/corex/corex_priv.h modules/corex/corex_send.c modules/corex/corex_file.c modules/corex/corex_flags.c \
	modules/corex/corex_names.c modules/corex/corex_nio.c modules/corex/corex_pv.c modules/corex/corex_rpc.c
modules_corex_so_LDFLAGS = $(RF_MODULE_LINK)
