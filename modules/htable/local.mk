module_PROGRAMS += modules/htable.so
modules_htable_so_SOURCES = modules/htable/htable.c modules/htable/table.c modules/htable/def.c modules/htable/pv.c modules/htable/func.c modules/htable/walk.c modules/htable/walk.h
modules_htable_so_SOURCES += modules/htable/db.c modules/htable/rpc.c modules/htable/htable_priv.h modules/htable/table.h
modules_htable_so_LDFLAGS = $(RF_MODULE_LINK)
