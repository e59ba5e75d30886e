# modules/usrloc
module_PROGRAMS += modules/usrloc.so
# All but the module's own table, for unit tests that bring their own.
RF_USRLOC_PARTS = modules/usrloc/ul_domain.c modules/usrloc/ul_cell.c modules/usrloc/ul_chain.c modules/usrloc/ul_read.c \
	modules/usrloc/ul_save.c modules/usrloc/ul_undo.c modules/usrloc/ul_same.c modules/usrloc/ul_timer.c modules/usrloc/ul_ka.c modules/usrloc/ul_row.c modules/usrloc/ul_batch.c \
	modules/usrloc/ul_direct.c modules/usrloc/ul_load.c modules/usrloc/ul_block.c modules/usrloc/ul_store.h modules/usrloc/ul_db.h \
	modules/usrloc/ul_priv.h modules/usrloc/usrloc_api.h
modules_usrloc_so_SOURCES = modules/usrloc/usrloc.c modules/usrloc/ul_rpc.c $(RF_USRLOC_PARTS)
modules_usrloc_so_LDFLAGS = $(RF_MODULE_LINK)
