# Files of core/main: one line each. main.c is the program's own, see Makefile.am.
libringfort_a_SOURCES += core/main/boot.c core/main/boot.h
libringfort_a_SOURCES += core/main/directives.c core/main/directives.h
libringfort_a_SOURCES += core/main/stage.c core/main/stage.h
libringfort_a_SOURCES += core/main/generation.c core/main/generation.h
libringfort_a_SOURCES += core/main/reload.c core/main/reload.h
libringfort_a_SOURCES += core/main/options.c core/main/options.h
libringfort_a_SOURCES += core/main/params.c core/main/live.c core/main/live.h core/main/params.h
libringfort_a_SOURCES += core/main/core_cmds.c core/main/modparam_cmds.c core/main/dns_cmds.c core/main/proxied_cmds.c core/main/core_cmds.h core/main/ops_cmds.c core/main/ops_cmds.h
libringfort_a_SOURCES += core/main/top_cmds.c core/main/top_cmds.h
