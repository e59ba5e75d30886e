# modules/cfg_rpc
module_PROGRAMS += modules/cfg_rpc.so
modules_cfg_rpc_so_SOURCES = modules/cfg_rpc/cfg_rpc.c
modules_cfg_rpc_so_LDFLAGS = $(RF_MODULE_LINK)
