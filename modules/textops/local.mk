# modules/textops: see modules/README.md for the pattern.
RF_MODULE_TEXTOPS = modules/textops/textops.c modules/textops/textops_priv.h modules/textops/textops_search.c modules/textops/textops_hdr.c \
	modules/textops/textops_body.c
module_PROGRAMS += modules/textops.so
modules_textops_so_SOURCES = $(RF_MODULE_TEXTOPS)
modules_textops_so_LDFLAGS = $(RF_MODULE_LINK)
