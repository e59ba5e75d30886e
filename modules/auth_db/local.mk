module_PROGRAMS += modules/auth_db.so
modules_auth_db_so_SOURCES = modules/auth_db/auth_db.c modules/auth_db/cache.c modules/auth_db/cache.h
modules_auth_db_so_LDFLAGS = $(RF_MODULE_LINK)
