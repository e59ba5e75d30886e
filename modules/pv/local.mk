# modules/pv: see modules/README.md for the pattern.
RF_MODULE_PV = modules/pv/pv.c modules/pv/pv_priv.h modules/pv/pv_msg.c modules/pv/pv_addr.c modules/pv/pv_hdr.c modules/pv/pv_auth.c \
	modules/pv/pv_net.c modules/pv/pv_branch.c modules/pv/pv_mem.c modules/pv/pv_shv.c modules/pv/pv_time.c modules/pv/pv_sel.c \
	modules/pv/pv_sel.h modules/pv/pv_sel_get.c \
	modules/pv/pv_trans.c modules/pv/pv_trans.h modules/pv/pv_trans_code.c modules/pv/pv_trans_val.c modules/pv/pv_trans_sip.c modules/pv/pv_digest.c modules/pv/pv_digest.h modules/pv/pv_funcs.c
module_PROGRAMS += modules/pv.so
modules_pv_so_SOURCES = $(RF_MODULE_PV)
modules_pv_so_LDFLAGS = $(RF_MODULE_LINK)
