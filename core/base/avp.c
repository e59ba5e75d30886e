/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of named values. Lists are short (a handful of AVPs per call), so they are walked; there is
 * no index. Packing turns a set into one run of bytes that a transaction keeps in shared memory:
 *
 *     set:  version (1 byte), then one list per class
 *     list: count (u32), then the values, newest first
 *     avp:  bits (1 byte: kind in 0-1, has an integer side 2, has fields 3), flags (u32),
 *           name (text), integer (i64, when it has one), text (when it is a string),
 *           list of fields (when it has them)
 *     text: length (u32), bytes
 *
 * All integers are little-endian. Unpacking trusts nothing: lengths are checked against what is
 * left, depth is bounded, unknown bits and bytes left over are refused.
 */
#include "core/base/avp.h"

#include <errno.h>

#include "core/base/pool.h"
#include "core/base/strbuf.h"

#define PACK_VERSION 1u
#define DEPTH_MAX 8u
#define AVP_MIN_BYTES 9u /* bits, flags, empty name */

#define BIT_KIND 0x03u
#define BIT_INT 0x04u
#define BIT_FIELDS 0x08u

struct avp *avp_push(struct avp **list, struct pool *pool, struct str name, const struct value *v)
{
	struct avp *a = pool_zalloc(pool, sizeof(*a));

	if (!a)
		return NULL;
	a->name = str_dup(pool, name);
	if (!a->name.s || value_dup(v, pool, &a->value) < 0)
		return NULL;
	a->next = *list;
	*list = a;
	return a;
}

static bool is_named(const struct avp *a, struct str name, bool icase)
{
	return icase ? str_ieq(a->name, name) : str_eq(a->name, name);
}

unsigned avp_count(const struct avp *list, struct str name, bool icase)
{
	unsigned n = 0;

	for (; list; list = list->next)
		if (is_named(list, name, icase))
			n++;
	return n;
}

struct avp *avp_find(struct avp *list, struct str name, int n, bool icase)
{
	if (n < 0) {
		int64_t from_new = (int64_t)avp_count(list, name, icase) + n;

		if (from_new < 0)
			return NULL;
		n = (int)from_new;
	}
	for (; list; list = list->next)
		if (is_named(list, name, icase) && n-- == 0)
			return list;
	return NULL;
}

bool avp_insert(struct avp **list, struct pool *pool, struct avp *node, unsigned n)
{
	struct avp **at = list, *between = NULL;
	unsigned i = 0;

	for (; *at && (i < n || !is_named(*at, node->name, false)); at = &(*at)->next)
		i += is_named(*at, node->name, false);
	for (; i < n; i++) {
		struct value none = value_null();

		if (!avp_push(&between, pool, node->name, &none))
			return false;
	}
	if (*at && (*at)->value.kind == VALUE_NULL && !(*at)->has_fields)
		node->next = (*at)->next;
	else
		node->next = *at;
	*at = node;
	if (between) {
		struct avp *last = between;

		while (last->next)
			last = last->next;
		last->next = node;
		*at = between;
	}
	return true;
}

bool avp_remove(struct avp **list, struct avp *node)
{
	for (; *list; list = &(*list)->next) {
		if (*list == node) {
			*list = node->next;
			node->next = NULL;
			return true;
		}
	}
	return false;
}

unsigned avp_remove_all(struct avp **list, struct str name, bool icase)
{
	unsigned n = 0;

	while (*list) {
		if (is_named(*list, name, icase)) {
			*list = (*list)->next;
			n++;
		} else {
			list = &(*list)->next;
		}
	}
	return n;
}

static void put_int(struct strbuf *out, uint64_t v, unsigned n_bytes)
{
	for (unsigned i = 0; i < n_bytes; i++)
		strbuf_add_char(out, (char)(v >> 8 * i & 0xff));
}

static void put_text(struct strbuf *out, struct str s)
{
	if (s.n > UINT32_MAX) {
		out->failed = true;
		return;
	}
	put_int(out, s.n, 4);
	strbuf_add(out, s);
}

static void pack_list(const struct avp *list, struct strbuf *out, unsigned depth)
{
	uint32_t n = 0;

	if (depth > DEPTH_MAX) {
		out->failed = true;
		return;
	}
	for (const struct avp *a = list; a; a = a->next)
		n++;
	put_int(out, n, 4);
	for (const struct avp *a = list; a && !out->failed; a = a->next) {
		bool has_int =
		    a->value.kind == VALUE_INT || (a->value.kind == VALUE_STR && a->value.has_int);
		bool has_fields = a->has_fields || a->fields;

		put_int(out,
		        (unsigned)a->value.kind | (has_int ? BIT_INT : 0u) |
		            (has_fields ? BIT_FIELDS : 0u),
		        1);
		put_int(out, a->flags, 4);
		put_text(out, a->name);
		if (has_int)
			put_int(out, (uint64_t)a->value.i, 8);
		if (a->value.kind == VALUE_STR)
			put_text(out, a->value.s);
		if (has_fields)
			pack_list(a->fields, out, depth + 1);
	}
}

int avp_set_pack(const struct avp_set *set, struct strbuf *out)
{
	put_int(out, PACK_VERSION, 1);
	for (unsigned i = 0; i < AVP_N_CLASSES; i++)
		pack_list(set->head[i], out, 0);
	return strbuf_err(out);
}

static int get_int(struct str *in, unsigned n_bytes, uint64_t *ret)
{
	uint64_t v = 0;

	if (in->n < n_bytes)
		return -EBADMSG;
	for (unsigned i = 0; i < n_bytes; i++)
		v |= (uint64_t)(unsigned char)in->s[i] << 8 * i;
	*in = str_sub(*in, n_bytes, in->n);
	*ret = v;
	return 0;
}

static int get_text(struct str *in, struct pool *pool, struct str *ret)
{
	uint64_t n = 0;
	struct str s;

	if (get_int(in, 4, &n) < 0 || n > in->n)
		return -EBADMSG;
	s = str_dup(pool, str_sub(*in, 0, n));
	if (!s.s)
		return -ENOMEM;
	*in = str_sub(*in, n, in->n);
	*ret = s;
	return 0;
}

static int unpack_list(struct str *in, struct pool *pool, unsigned depth, struct avp **ret_list);

static int unpack_one(struct str *in, struct pool *pool, unsigned depth, struct avp *a)
{
	uint64_t bits = 0, flags = 0, i = 0;
	int err;

	if (get_int(in, 1, &bits) < 0 || get_int(in, 4, &flags) < 0)
		return -EBADMSG;
	if ((bits & ~(uint64_t)(BIT_KIND | BIT_INT | BIT_FIELDS)) || (bits & BIT_KIND) > VALUE_STR)
		return -EBADMSG;
	a->value.kind = (enum value_kind)(bits & BIT_KIND);
	if ((a->value.kind == VALUE_NULL && (bits & BIT_INT)) ||
	    (a->value.kind == VALUE_INT && !(bits & BIT_INT)))
		return -EBADMSG;
	a->flags = (uint32_t)flags;
	err = get_text(in, pool, &a->name);
	if (err < 0)
		return err;
	if (bits & BIT_INT) {
		if (get_int(in, 8, &i) < 0)
			return -EBADMSG;
		a->value.i = (int64_t)i;
		a->value.has_int = a->value.kind == VALUE_STR;
	}
	if (a->value.kind == VALUE_STR) {
		err = get_text(in, pool, &a->value.s);
		if (err < 0)
			return err;
	}
	if (bits & BIT_FIELDS) {
		a->has_fields = true;
		return unpack_list(in, pool, depth + 1, &a->fields);
	}
	return 0;
}

static int unpack_list(struct str *in, struct pool *pool, unsigned depth, struct avp **ret_list)
{
	struct avp *first = NULL, **link = &first;
	uint64_t n = 0;

	if (depth > DEPTH_MAX || get_int(in, 4, &n) < 0 || n > in->n / AVP_MIN_BYTES)
		return -EBADMSG;
	while (n-- > 0) {
		struct avp *a = pool_zalloc(pool, sizeof(*a));
		int err;

		if (!a)
			return -ENOMEM;
		err = unpack_one(in, pool, depth, a);
		if (err < 0)
			return err;
		*link = a;
		link = &a->next;
	}
	*ret_list = first;
	return 0;
}

int avp_set_unpack(struct str packed, struct pool *pool, struct avp_set *ret_set)
{
	struct avp_set set = { 0 };
	uint64_t version = 0;

	if (get_int(&packed, 1, &version) < 0 || version != PACK_VERSION)
		return -EBADMSG;
	for (unsigned i = 0; i < AVP_N_CLASSES; i++) {
		int err = unpack_list(&packed, pool, 0, &set.head[i]);

		if (err < 0)
			return err;
	}
	if (packed.n != 0)
		return -EBADMSG;
	*ret_set = set;
	return 0;
}
