# modules/siputils: see modules/README.md for the pattern.
module_PROGRAMS += modules/siputils.so
modules_siputils_so_SOURCES = modules/siputils/siputils.c modules/siputils/siputils_contact.c modules/siputils/siputils_priv.h
modules_siputils_so_LDFLAGS = $(RF_MODULE_LINK)
