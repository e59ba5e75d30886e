# Files of core/net: one line each.
libringfort_a_SOURCES += core/net/addr.c core/net/addr.h
libringfort_a_SOURCES += core/net/dns_ask.c
libringfort_a_SOURCES += core/net/dns_cache.c core/net/dns.h
libringfort_a_SOURCES += core/net/dns_msg.c
libringfort_a_SOURCES += core/net/handover.c core/net/handover.h
libringfort_a_SOURCES += core/net/hosts.c core/net/hosts.h
libringfort_a_SOURCES += core/net/listener.c core/net/listener.h core/net/listener_priv.h
libringfort_a_SOURCES += core/net/listener_add.c
libringfort_a_SOURCES += core/net/listener_open.c
libringfort_a_SOURCES += core/net/myself.c core/net/myself.h
libringfort_a_SOURCES += core/net/proxy.c core/net/proxy.h
libringfort_a_SOURCES += core/net/resolve.c core/net/resolve.h
libringfort_a_SOURCES += core/net/sockopt.c core/net/sockopt.h
