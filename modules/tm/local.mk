module_PROGRAMS += modules/tm.so
modules_tm_so_SOURCES = modules/tm/tm.c modules/tm/tm_contacts.c modules/tm/tm_contacts.h modules/tm/tm_rpc.c modules/tm/tm_rpc.h
modules_tm_so_LDFLAGS = $(RF_MODULE_LINK)
