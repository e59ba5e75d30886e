module_PROGRAMS += modules/pike.so
modules_pike_so_SOURCES = modules/pike/pike.c modules/pike/tree.c modules/pike/tree.h
modules_pike_so_LDFLAGS = $(RF_MODULE_LINK)
