# modules/registrar
module_PROGRAMS += modules/registrar.so
modules_registrar_so_SOURCES = modules/registrar/registrar.c modules/registrar/reg_save.c modules/registrar/reg_reply.c \
	modules/registrar/reg_lookup.c modules/registrar/reg_ulc.c modules/registrar/reg_priv.h
modules_registrar_so_LDFLAGS = $(RF_MODULE_LINK)
