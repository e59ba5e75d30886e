module_PROGRAMS += modules/tmx.so
modules_tmx_so_SOURCES = modules/tmx/tmx.c modules/tmx/tmx_pv.c modules/tmx/tmx_precheck.c modules/tmx/tmx.h
modules_tmx_so_LDFLAGS = $(RF_MODULE_LINK)
