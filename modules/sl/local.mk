module_PROGRAMS += modules/sl.so
modules_sl_so_SOURCES = modules/sl/sl.c
modules_sl_so_LDFLAGS = $(RF_MODULE_LINK)
