# modules/jsonrpcs
module_PROGRAMS += modules/jsonrpcs.so
modules_jsonrpcs_so_SOURCES = modules/jsonrpcs/jsonrpcs.c modules/jsonrpcs/jr_fifo.c modules/jsonrpcs/jr_sock.c \
	modules/jsonrpcs/jr_priv.h
modules_jsonrpcs_so_LDFLAGS = $(RF_MODULE_LINK)
