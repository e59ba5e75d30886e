# Files of core/transport: one line each.
libringfort_a_SOURCES += core/transport/conn.c core/transport/conn.h core/transport/conn_priv.h
libringfort_a_SOURCES += core/transport/conn_read.c core/transport/conn_send.c core/transport/conn_time.c core/transport/conn_write.c
libringfort_a_SOURCES += core/transport/conn_index.c core/transport/conn_index.h
libringfort_a_SOURCES += core/transport/counters.c core/transport/transport_priv.h
libringfort_a_SOURCES += core/transport/ctx.c core/transport/ctx.h
libringfort_a_SOURCES += core/transport/ctx_lock.c core/transport/ctx_lock.h
libringfort_a_SOURCES += core/transport/greet.c
libringfort_a_SOURCES += core/transport/proxied.c core/transport/proxied.h
libringfort_a_SOURCES += core/transport/rx.c core/transport/rx.h
libringfort_a_SOURCES += core/transport/tx.c core/transport/tx.h
