# modules/sanity: see modules/README.md for the pattern.
module_PROGRAMS += modules/sanity.so
modules_sanity_so_SOURCES = modules/sanity/sanity.c
modules_sanity_so_LDFLAGS = $(RF_MODULE_LINK)
