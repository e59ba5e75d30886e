/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AVPs and XAVPs of one message or transaction: lists of named values, newest first. They live in the
 * message's pool; a transaction keeps them packed in shared memory between its routes.
 */
#ifndef RF_BASE_AVP_H
#define RF_BASE_AVP_H

#include "core/base/value.h"

struct pool;
struct strbuf;

enum avp_class { AVP_PLAIN, AVP_XAVP, AVP_XAVI, AVP_XAVU, AVP_N_CLASSES };

struct avp {
	struct avp *next;     /* next older of the same class, any name */
	struct str name;      /* AVP_PLAIN integer names: "i:5" */
	struct value value;   /* VALUE_NULL for an XAVP root that only holds fields */
	struct avp *fields;   /* XAVP: newest first; NULL: none */
	uint32_t flags;       /* avpflags */
	bool has_fields;
};

struct avp_set {
	struct avp *head[AVP_N_CLASSES];
	bool dirty; /* changed since loaded: must be packed again */
};

/* Pushes in front. list: &set->head[class] or &root->fields. Returns the new node, NULL without memory. */
MUST_CHECK struct avp *avp_push(struct avp **list, struct pool *pool, struct str name, const struct value *v);
/* n-th newest of that name; negative from the oldest (-1). icase: XAVI. NULL when absent. */
struct avp *avp_find(struct avp *list, struct str name, int n, bool icase);
/* Puts node in as the n-th newest of its name, in the place of one without value; where there are fewer, such ones come between. Returns false without
 * memory: nothing is put in. */
MUST_CHECK bool avp_insert(struct avp **list, struct pool *pool, struct avp *node, unsigned n);
unsigned avp_count(const struct avp *list, struct str name, bool icase);
bool avp_remove(struct avp **list, struct avp *node);
unsigned avp_remove_all(struct avp **list, struct str name, bool icase);
enum { AVP_PACKED_MAX = 65536 }; /* more of one message or transaction are not kept */
/* Packs a whole set into bytes (length-prefixed, versioned) and back. */
MUST_CHECK int avp_set_pack(const struct avp_set *set, struct strbuf *out);
MUST_CHECK int avp_set_unpack(struct str packed, struct pool *pool, struct avp_set *ret_set);

#endif
