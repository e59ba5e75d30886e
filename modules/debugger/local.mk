# modules/debugger
module_PROGRAMS += modules/debugger.so
modules_debugger_so_SOURCES = modules/debugger/debugger.c
modules_debugger_so_LDFLAGS = $(RF_MODULE_LINK)
