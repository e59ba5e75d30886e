# modules/acc
module_PROGRAMS += modules/acc.so
modules_acc_so_SOURCES = modules/acc/acc.c modules/acc/acc_record.c modules/acc/acc_db.c modules/acc/acc_queue.c modules/acc/acc_priv.h
modules_acc_so_LDFLAGS = $(RF_MODULE_LINK)
