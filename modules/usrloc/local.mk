# modules/usrloc
module_PROGRAMS += modules/usrloc.so
modules_usrloc_so_SOURCES = modules/usrloc/usrloc.c modules/usrloc/ul_store.c modules/usrloc/ul_timer.c modules/usrloc/ul_db.c \
	modules/usrloc/ul_rpc.c modules/usrloc/ul_priv.h modules/usrloc/usrloc_api.h
modules_usrloc_so_LDFLAGS = $(RF_MODULE_LINK)
