# modules/textopsx: see modules/README.md for the pattern.
RF_MODULE_TEXTOPSX = modules/textopsx/textopsx.c modules/textopsx/textopsx_priv.h modules/textopsx/textopsx_value.c modules/textopsx/textopsx_iter.c
module_PROGRAMS += modules/textopsx.so
modules_textopsx_so_SOURCES = $(RF_MODULE_TEXTOPSX)
modules_textopsx_so_LDFLAGS = $(RF_MODULE_LINK)
