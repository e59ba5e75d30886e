# modules/ctl
module_PROGRAMS += modules/ctl.so
modules_ctl_so_SOURCES = modules/ctl/ctl.c
modules_ctl_so_LDFLAGS = $(RF_MODULE_LINK)
