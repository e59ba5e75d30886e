# Files of core/rpc.
libringfort_a_SOURCES += core/rpc/rpc.h core/rpc/rpc_priv.h core/rpc/rpc.c core/rpc/json.c core/rpc/core_cmds.c
