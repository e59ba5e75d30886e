# modules/debugger
module_PROGRAMS += modules/debugger.so
modules_debugger_so_SOURCES = modules/debugger/debugger.c modules/debugger/debugger_priv.h modules/debugger/breakpoint.c modules/debugger/dump.c \
	modules/debugger/levels.c modules/debugger/trace.c
modules_debugger_so_LDFLAGS = $(RF_MODULE_LINK)
