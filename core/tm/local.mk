# core/tm
libringfort_a_SOURCES += core/tm/tm.h core/tm/tm_priv.h core/tm/fsm.h core/tm/fsm.c core/tm/out.h core/tm/out.c core/tm/out_via.c core/tm/tm.c core/tm/table.c \
	core/tm/timer.c core/tm/server.c core/tm/uas.c core/tm/legs.c core/tm/suspend.c core/tm/client.c core/tm/relay.c core/tm/append.c core/tm/reply.c core/tm/cancel.c core/tm/mend.c core/tm/observe.c core/tm/uac.c core/tm/uac_ack.c
