# Files of core/db: one line each.
libringfort_a_SOURCES += core/db/db.c core/db/db.h core/db/db_priv.h
libringfort_a_SOURCES += core/db/rows.c
libringfort_a_SOURCES += core/db/drv_sqlite.c core/db/drv_sqlite.h
libringfort_a_SOURCES += core/db/sqlite_conn.c core/db/sqlite_conn.h
