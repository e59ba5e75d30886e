# Files of core/rpc.
libringfort_a_SOURCES += core/rpc/rpc.h core/rpc/rpc_priv.h core/rpc/rpc.c core/rpc/reply.c core/rpc/serve.h core/rpc/sock.c core/rpc/send.c core/rpc/serve.c core/rpc/json.c core/rpc/binrpc.h core/rpc/binrpc.c core/rpc/core_cmds.c
