/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * $shv: values that every process shares, for ever. One object per name in a hash table of the arena; a number is changed in
 * place under the bucket's lock, a text by putting a new object in the old one's place. Names that the script mentions exist from the
 * start with the value 0, so that RPC finds them.
 */
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "modules/pv/pv_priv.h"
#include "shm/hash.h"
#include "shm/slab.h"

#define SHV_NAME_MAX 128u
#define SHV_TEXT_MAX 65535u

struct shv {
	struct shm_hnode node; /* first: aligned to the grain */
	uint16_t name_len;     /* written once, before insertion */
	uint8_t is_text;       /* likewise */
	uint32_t text_len;     /* likewise */
	int64_t i;             /* written and read: holder of the bucket's lock */
	char bytes[];          /* name, then text; written once */
};

struct declared {
	struct declared *next;
	struct str name;
	struct value first;
	bool has_first;
};

static struct {
	struct shm_hash *table;
	struct declared *declared; /* until init: names of the script and of shvset */
} priv;

static bool shv_eq(const struct shm_hnode *node, const void *key)
{
	const struct shv *v = CONTAINER_OF(node, const struct shv, node);
	const struct str *name = key;

	return v->name_len == name->n && memcmp(v->bytes, name->s, name->n) == 0;
}

static struct shv *shv_new(struct str name, const struct value *v)
{
	struct str text = v->kind == VALUE_STR ? v->s : STR_NULL;
	struct shv *o;

	if (name.n > SHV_NAME_MAX || text.n > SHV_TEXT_MAX)
		return NULL;
	o = shm_alloc(sizeof(*o) + name.n + text.n);
	if (!o)
		return NULL;
	o->node = (struct shm_hnode){ .hash = hashfn32(name) };
	o->name_len = (uint16_t)name.n;
	o->is_text = v->kind != VALUE_INT;
	o->text_len = (uint32_t)text.n;
	o->i = v->kind == VALUE_INT ? v->i : 0;
	memcpy(o->bytes, name.s, name.n);
	if (text.n > 0)
		memcpy(o->bytes + name.n, text.s, text.n);
	return o;
}

/* must_exist: -ENOENT instead of making it. */
static int shv_store(struct str name, const struct value *v, bool must_exist)
{
	struct shm_hbucket *b;
	struct shm_hnode *n;
	struct shv *old = NULL, *fresh = shv_new(name, v);

	if (!fresh)
		return -ENOSPC;
	b = shm_hash_lock(priv.table, fresh->node.hash);
	n = shm_hash_find_locked(b, fresh->node.hash, shv_eq, &name);
	if (n) {
		old = CONTAINER_OF(n, struct shv, node);
		shm_hash_replace_locked(priv.table, b, n, &fresh->node);
	} else if (!must_exist) {
		shm_hash_insert_locked(priv.table, b, &fresh->node);
	}
	shm_hash_unlock(b);
	if (!n && must_exist) {
		shm_free(fresh);
		return -ENOENT;
	}
	if (old)
		shm_free(old);
	else
		shm_hash_grow(priv.table);
	return 0;
}

/* Copies the value out: the text goes to pool. The lock is held only while copying into memory that is already there. */
static int shv_load(struct str name, struct pool *pool, struct value *ret)
{
	uint32_t hash = hashfn32(name);
	size_t room = 256;

	for (unsigned round = 0; round < 8; round++) {
		char *mem = pool_alloc(pool, room);
		struct shm_hbucket *b;
		struct shm_hnode *n;
		const struct shv *o;
		struct value v = value_null();
		bool fits = true;

		if (!mem)
			return -ENOMEM;
		b = shm_hash_lock(priv.table, hash);
		n = shm_hash_find_locked(b, hash, shv_eq, &name);
		o = n ? CONTAINER_OF(n, const struct shv, node) : NULL;
		if (o && !o->is_text) {
			v = value_int(o->i);
		} else if (o) {
			fits = o->text_len < room;
			if (fits) {
				memcpy(mem, o->bytes + o->name_len, o->text_len);
				mem[o->text_len] = '\0';
				v = value_str(str_of(mem, o->text_len));
			} else {
				room = (size_t)o->text_len + 256;
			}
		}
		shm_hash_unlock(b);
		if (!o)
			return -ENOENT;
		if (fits) {
			*ret = v;
			return 0;
		}
	}
	return -EAGAIN;
}

/* ---- before forking ---- */

static int declare(struct str name, const struct value *first)
{
	struct declared *d;

	if (name.n == 0 || name.n > SHV_NAME_MAX)
		return -EINVAL;
	if (priv.table)
		return 0; /* a format text at run time: made when it is set */
	for (d = priv.declared; d; d = d->next) {
		if (str_eq(d->name, name))
			break;
	}
	if (!d) {
		char *copy = malloc(name.n);

		d = calloc(1, sizeof(*d));
		if (!d || !copy) {
			free(d);
			free(copy);
			return -ENOMEM;
		}
		memcpy(copy, name.s, name.n);
		d->name = str_of(copy, name.n);
		d->next = priv.declared;
		priv.declared = d;
	}
	if (first) {
		d->first = *first; /* texts of settings live for ever */
		d->has_first = true;
	}
	return 0;
}

int pv_shv_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str name;
	struct value v;
	int err = pv_init_parse(s, &name, &v, reterr);

	(void)conf;
	(void)set;
	(void)i;
	if (err < 0)
		return err;
	err = declare(name, &v);
	return err < 0 ? diag_err(reterr, err, 0, "$shv(%.*s) cannot be set", STR_FMT(name)) : 0;
}

int pv_shv_init(void)
{
	int err;

	if (priv.table)
		return 0;
	err = shm_hash_new(64, &priv.table);
	if (err < 0)
		return err;
	for (const struct declared *d = priv.declared; d; d = d->next) {
		struct value zero = value_int(0);

		err = shv_store(d->name, d->has_first ? &d->first : &zero, false);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- variables ---- */

static int shv_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	int err = declare(spec->inner, NULL);

	(void)pool;
	return err < 0 ? diag_err(reterr, err, 0, "name of a $shv: 1 to %u bytes", SHV_NAME_MAX) : 0;
}

static int shv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	int err;

	if (!priv.table)
		return -ENODEV;
	err = shv_load(spec->inner, ctx->pool, ret);
	return err == -ENOENT ? pv_ret_int(ret, 0) : err;
}

static int shv_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct value empty = value_str(STR_LIT(""));

	(void)ctx;
	if (!priv.table)
		return -ENODEV;
	return shv_store(spec->inner, v->kind == VALUE_NULL ? &empty : v, false);
}

static int shvinc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	uint32_t hash = hashfn32(spec->inner);
	struct value one = value_int(1);
	struct shm_hbucket *b;
	struct shm_hnode *n;
	int64_t now = 0;

	(void)ctx;
	if (!priv.table)
		return -ENODEV;
	b = shm_hash_lock(priv.table, hash);
	n = shm_hash_find_locked(b, hash, shv_eq, &spec->inner);
	if (n) {
		struct shv *o = CONTAINER_OF(n, struct shv, node);

		if (!o->is_text)
			now = ++o->i;
	}
	shm_hash_unlock(b);
	if (!n) {
		int err = shv_store(spec->inner, &one, false);

		if (err < 0)
			return err;
		now = 1;
	}
	return pv_ret_int(ret, now);
}

/* clang-format off */
const struct pv_def pv_shv_table[] = {
	{ .name = "shv",    .get = shv_get, .set = shv_set, .prepare = shv_prepare, .flags = PV_INNER },
	{ .name = "shvinc", .get = shvinc_get, .prepare = shv_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */

/* ---- RPC ---- */

static void rpc_show(struct rpc *rpc, struct rpc_node *obj, struct str name, const struct value *v)
{
	rpc_add_str(rpc, obj, "name", name);
	rpc_add_str(rpc, obj, "type", v->kind == VALUE_INT ? STR_LIT("int") : STR_LIT("string"));
	if (v->kind == VALUE_INT)
		rpc_add_int(rpc, obj, "value", v->i);
	else
		rpc_add_str(rpc, obj, "value", v->s);
}

/* Copies one bucket's entries out, since adding to a result may allocate and must not happen under the lock. */
struct copy {
	struct pool *pool;
	struct copied {
		struct copied *next;
		struct str name;
		struct value v;
	} *head;
	int err;
};

/* Under the bucket's lock: the pool has room for the usual case; when it must ask for more, that is one malloc in process rpcd. */
static int copy_one(struct shm_hnode *node, void *arg)
{
	const struct shv *o = CONTAINER_OF(node, const struct shv, node);
	struct copy *c = arg;
	struct copied *one = pool_zalloc(c->pool, sizeof(*one));

	if (one) {
		one->name = str_dup(c->pool, str_of(o->bytes, o->name_len));
		one->v = o->is_text ? value_str(str_dup(c->pool, str_of(o->bytes + o->name_len, o->text_len))) : value_int(o->i);
	}
	if (!one || !one->name.s || (o->is_text && !one->v.s.s))
		return c->err = -ENOMEM;
	one->next = c->head;
	c->head = one;
	return 0;
}

static void shv_rpc_all(struct rpc *rpc, struct pool *pool)
{
	struct copy c = { .pool = pool };
	struct rpc_node *top, *items;

	for (uint32_t i = 0; i < shm_hash_n_buckets(priv.table); i++) {
		if (shm_hash_walk(priv.table, i, copy_one, &c) < 0) {
			rpc_fault(rpc, 500, "No memory");
			return;
		}
	}
	top = rpc_add_object(rpc, NULL, NULL);
	items = rpc_add_object(rpc, top, "items");
	for (struct copied *one = c.head; one; one = one->next)
		rpc_show(rpc, rpc_add_object(rpc, items, "shv"), one->name, &one->v);
}

static void shv_rpc_get(struct rpc *rpc)
{
	struct pool *pool = pool_new(16 << 20);
	struct value v;
	struct str name;

	if (!pool || !priv.table) {
		rpc_fault(rpc, 500, "Not available");
	} else if (rpc_arg_any_str(rpc, &name) < 0) {
		shv_rpc_all(rpc, pool);
	} else if (shv_load(name, pool, &v) < 0) {
		rpc_fault(rpc, 404, "Variable not found");
	} else {
		rpc_show(rpc, rpc_add_object(rpc, NULL, NULL), name, &v);
	}
	pool_free(pool);
}

static void shv_rpc_set(struct rpc *rpc)
{
	struct str name, type, text = STR_NULL;
	const char *missing = NULL;
	struct value v;
	bool is_int, has;

	if (rpc_arg_any_str(rpc, &name) < 0)
		missing = "parameter varname";
	else if (rpc_arg_any_str(rpc, &type) < 0)
		missing = "parameter type";
	if (!missing) {
		is_int = str_ieq(type, STR_LIT("int"));
		if (!is_int && !str_ieq(type, STR_LIT("str"))) {
			rpc_fault(rpc, 500, "Unknown parameter type (Types: int or str)");
			return;
		}
		has = rpc_arg_any_str(rpc, &text) == 0;
		v = is_int ? value_int(0) : value_str(text);
		if (is_int && (!has || num_i64(text, &v.i) < 0))
			missing = "integer parameter value";
		else if (!has)
			missing = "parameter value";
	}
	if (missing)
		rpc_fault(rpc, 500, "Missing %s (Parameters: varname type value)", missing);
	else if (!priv.table || shv_store(name, &v, true) < 0)
		rpc_fault(rpc, 404, "Variable not found");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Variable set to new value."));
}

const struct rpc_method pv_rpcs[] = {
	{ .name = "pv.shvGet", .fn = shv_rpc_get, .doc = "Show one $shv, or all of them" },
	{ .name = "pv.shvSet", .fn = shv_rpc_set, .doc = "Set a $shv: name, int or str, value" },
	{ .name = NULL },
};
