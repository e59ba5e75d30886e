# core/route
libringfort_a_SOURCES += core/route/route.h core/route/route_priv.h core/route/receive.c core/route/counters.c core/route/event.c core/route/exec.c \
	core/route/reply.c core/route/forward.c core/route/ruri.c core/route/core_cmds.c core/route/onsend.c core/route/apply.c
libringfort_a_SOURCES += core/route/latency.c core/route/latency.h core/route/hand.c core/route/gate.c core/route/wire.c core/route/quarantine.c core/route/quarantine.h core/route/via_dns.c
