/* SPDX-License-Identifier: BSD-2-Clause */
/* A select, taken apart: pv_sel.c reads and checks it when the script is loaded, pv_sel_get.c looks up what it names. */
#ifndef RF_PV_SEL_H
#define RF_PV_SEL_H

#include "modules/pv/pv_priv.h"

#define SEL_ELEMS_MAX 32u

struct sel_elem {
	struct str name;
	struct str key;  /* ["text"] */
	int idx;
	bool has_idx, has_key, has_idx2;
	int idx2;        /* second index: header["X"][2] */
};

enum sel_root {
	R_RURI, R_DST_URI, R_NEXT_HOP, R_FROM, R_TO, R_ADDR, R_CONTACT, R_VIA, R_RR, R_CSEQ, R_MSG, R_METHOD, R_VERSION, R_STATUS, R_REASON,
	R_FIELD, R_AUTH, R_SRC, R_DST, R_RECEIVED, R_SYS, R_BRANCH, R_CFG, R_CFG_SELECTED
};

struct sel {
	enum sel_root root;
	enum sip_header id;
	unsigned n;             /* elements behind the root */
	struct sel_elem first;  /* the root's own */
	struct sel_elem e[SEL_ELEMS_MAX];
};

/* spec->data: the struct sel, checked. */
int pv_sel_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret);

#endif
