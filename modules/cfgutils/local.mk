# modules/cfgutils: see modules/README.md for the pattern.
RF_MODULE_CFGUTILS = modules/cfgutils/cfgutils.c modules/cfgutils/cfgutils_rpc.c modules/cfgutils/cfgutils_priv.h
module_PROGRAMS += modules/cfgutils.so
modules_cfgutils_so_SOURCES = $(RF_MODULE_CFGUTILS)
modules_cfgutils_so_LDFLAGS = $(RF_MODULE_LINK)
