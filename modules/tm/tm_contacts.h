/* SPDX-License-Identifier: BSD-2-Clause */
/* t_load_contacts(), t_next_contacts(), t_next_contact_flow(): tm_contacts.c. */
#ifndef RF_MODULES_TM_CONTACTS_H
#define RF_MODULES_TM_CONTACTS_H

#include "core/script/func.h"

struct tm_contacts_conf {
	struct str contacts_avp, contact_flows_avp, xavp_contact /* that of usrloc */; /* names of XAVPs; n 0: not set */
};
extern struct tm_contacts_conf tm_contacts_conf;

int tm_load_contacts(struct ctx *ctx, const union script_arg *a, unsigned n);
int tm_next_contacts(struct ctx *ctx, const union script_arg *a, unsigned n);
int tm_next_contact_flow(struct ctx *ctx, const union script_arg *a, unsigned n);

#endif
