module_PROGRAMS += modules/db_sqlite.so
modules_db_sqlite_so_SOURCES = modules/db_sqlite/db_sqlite.c
modules_db_sqlite_so_LDFLAGS = $(RF_MODULE_LINK)
