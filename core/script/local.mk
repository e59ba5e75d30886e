# Files of core/script: one line each.
libringfort_a_SOURCES += core/script/script.h core/script/func.h core/script/vm.h core/script/nearest.h core/script/script_priv.h core/script/opcodes.def core/script/commands.def
libringfort_a_SOURCES += core/script/lexer.c
libringfort_a_SOURCES += core/script/ppexpr.c
libringfort_a_SOURCES += core/script/subst.c
libringfort_a_SOURCES += core/script/parser.c
libringfort_a_SOURCES += core/script/check.c
libringfort_a_SOURCES += core/script/args.c
libringfort_a_SOURCES += core/script/compiler.c
libringfort_a_SOURCES += core/script/verify.c
libringfort_a_SOURCES += core/script/disasm.c
libringfort_a_SOURCES += core/script/ops.c
libringfort_a_SOURCES += core/script/cond.c
libringfort_a_SOURCES += core/script/funcs.c
libringfort_a_SOURCES += core/script/flags.c
libringfort_a_SOURCES += core/script/vm.c
libringfort_a_SOURCES += core/script/script.c
