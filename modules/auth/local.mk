module_PROGRAMS += modules/auth.so
modules_auth_so_SOURCES = modules/auth/auth.c modules/auth/nonce.c modules/auth/digest.c modules/auth/challenge.c modules/auth/auth_priv.h modules/auth/auth_api.h
modules_auth_so_LDFLAGS = $(RF_MODULE_LINK)
