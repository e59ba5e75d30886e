/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands ul.*: they read and change the tables directly, from process rpcd. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/net/listener.h"
#include "modules/usrloc/ul_priv.h"

#define DUMP_POOL_BYTES ((size_t)64 << 20)
#define DUMP_PIECE_AORS 50
#define DUMP_PIECE_BUCKETS 256u
#define AOR_MAX 512u

static void add_text(struct rpc *rpc, struct rpc_node *n, const char *name, struct str s)
{
	rpc_add_str(rpc, n, name, s.n ? s : STR_LIT("[not set]"));
}

static void add_expires(struct rpc *rpc, struct rpc_node *n, const struct ul_contact *c)
{
	int64_t now = clock_wall_s();

	if (c->state == UL_DELETED)
		rpc_add_str(rpc, n, "Expires", STR_LIT("deleted"));
	else if (c->expires == 0)
		rpc_add_str(rpc, n, "Expires", STR_LIT("permanent"));
	else if (c->expires <= now)
		rpc_add_str(rpc, n, "Expires", STR_LIT("expired"));
	else
		rpc_add_int(rpc, n, "Expires", c->expires - now);
}

static void add_contact(struct rpc *rpc, struct rpc_node *contacts, const struct ul_contact *c)
{
	static const char *const states[] = { "CS_NEW", "CS_SYNC", "CS_DIRTY", "CS_UNKNOWN" };
	struct rpc_node *n = rpc_add_object(rpc, contacts, "Contact");

	if (!n)
		return;
	rpc_add_str(rpc, n, "Address", c->uri);
	add_expires(rpc, n, c);
	rpc_add_double(rpc, n, "Q", c->q < 0 ? -1.0 : c->q / 1000.0);
	rpc_add_str(rpc, n, "Call-ID", c->callid);
	rpc_add_int(rpc, n, "CSeq", c->cseq);
	add_text(rpc, n, "User-Agent", c->user_agent);
	add_text(rpc, n, "Received", c->received);
	add_text(rpc, n, "Path", c->path);
	rpc_add_str(rpc, n, "State", str_lit(states[(unsigned)c->state & 3]));
	rpc_add_int(rpc, n, "Flags", c->flags & ~(uint32_t)UL_F_RPC);
	rpc_add_int(rpc, n, "CFlags", c->cflags);
	add_text(rpc, n, "Socket", ul_socket_text(c));
	rpc_add_int(rpc, n, "Methods", c->methods);
	add_text(rpc, n, "Ruid", c->ruid);
	add_text(rpc, n, "Instance", c->instance);
	rpc_add_int(rpc, n, "Reg-Id", c->reg_id);
	rpc_add_int(rpc, n, "Server-Id", c->server_id);
	rpc_add_int(rpc, n, "Tcpconn-Id", c->conn_id ? (int64_t)c->conn_id : -1);
	rpc_add_int(rpc, n, "Keepalive", ul_is_natted(c));
	rpc_add_int(rpc, n, "Last-Keepalive", c->last_keepalive);
	rpc_add_int(rpc, n, "KA-Roundtrip", c->ka_roundtrip_us);
	rpc_add_int(rpc, n, "Last-Modified", c->modified);
}

/* ---- ul.dump ---- */

struct dump { /* of one domain; as long as the call */
	struct ul_domain *d;
	struct rpc *rpc;
	struct rpc_node *aors, *contacts;
	struct str aor;  /* the one that contacts belong to */
	uint32_t bucket; /* the next one */
	bool brief;
	int64_t n_records, n_slots_max, n_here;
};

static int dump_one(struct ul_domain *d, struct str aor, const struct ul_contact *c, void *arg)
{
	struct dump *w = arg;

	(void)d;
	if (!str_eq(w->aor, aor)) {
		struct rpc_node *info = NULL;

		w->n_records++;
		w->n_here++;
		w->aor = aor;
		w->contacts = NULL;
		if (w->brief) {
			rpc_add_str(w->rpc, w->aors, "AoR", aor);
			return 0;
		}
		info = rpc_add_object(w->rpc, w->aors, "Info");
		if (!info)
			return -ENOMEM;
		rpc_add_str(w->rpc, info, "AoR", aor);
		rpc_add_int(w->rpc, info, "HashID", ul_aor_hash(aor));
		w->contacts = rpc_add_array(w->rpc, info, "Contacts");
	}
	if (w->contacts)
		add_contact(w->rpc, w->contacts, c);
	return 0;
}

/* The next buckets, until there is something worth sending. */
static int dump_aors(struct rpc *rpc, struct rpc_node *node, void *state)
{
	struct pool *pool = pool_new(DUMP_POOL_BYTES);
	struct dump *w = state;
	int64_t from = w->n_records;
	unsigned n_buckets = 0;
	int err = pool ? 0 : -ENOMEM;

	w->rpc = rpc;
	w->aors = node;
	while (err >= 0 && w->bucket < shm_hash_n_buckets(w->d->hash) && w->n_records - from < DUMP_PIECE_AORS &&
	       n_buckets++ < DUMP_PIECE_BUCKETS) {
		w->n_here = 0;
		w->aor = STR_NULL;
		err = ul_walk_all(w->d, w->bucket++, pool, dump_one, w);
		if (w->n_here > w->n_slots_max)
			w->n_slots_max = w->n_here;
		pool_reset(pool);
	}
	pool_free(pool);
	return err >= 0 && w->bucket < shm_hash_n_buckets(w->d->hash);
}

static int dump_stats(struct rpc *rpc, struct rpc_node *node, void *state)
{
	struct dump *w = state;

	rpc_add_int(rpc, node, "Records", w->n_records);
	rpc_add_int(rpc, node, "Max-Slots", w->n_slots_max);
	return 0;
}

/* The list is made while it is sent: it may be longer than any memory, and no table is held meanwhile. */
static void rpc_dump(struct rpc *rpc)
{
	struct str mode = STR_NULL;
	struct rpc_node *top = rpc_add_object(rpc, NULL, NULL), *domains = rpc_add_array(rpc, top, "Domains");
	bool brief = rpc_args_left(rpc) && rpc_arg_str(rpc, &mode) == 0 && str_eq(mode, STR_LIT("brief"));

	for (unsigned i = 0; domains && i < ul_domain_count(); i++) {
		struct rpc_node *n = rpc_add_object(rpc, domains, "Domain");
		struct dump *w = rpc_alloc(rpc, sizeof(*w));

		if (!n || !w)
			break;
		w->d = ul_domain_at(i);
		w->brief = brief;
		rpc_add_str(rpc, n, "Domain", w->d->name);
		rpc_add_int(rpc, n, "Size", shm_hash_n_buckets(w->d->hash));
		rpc_add_pieces(rpc, rpc_add_array(rpc, n, "AoRs"), dump_aors, w);
		rpc_add_pieces(rpc, rpc_add_object(rpc, n, "Stats"), dump_stats, w);
	}
}

/* ---- one AoR ---- */

/* As the registrar makes it: lower case, and with a domain when AoRs have one. mem: AOR_MAX bytes. */
static int take_aor(struct rpc *rpc, struct str in, char *mem, struct str *ret)
{
	if (in.n == 0 || in.n > AOR_MAX) {
		rpc_fault(rpc, 500, "Invalid AOR");
		return -EINVAL;
	}
	if (ul_conf.use_domain && str_find_char(in, '@') < 0) {
		rpc_fault(rpc, 500, "Domain missing in AOR");
		return -EINVAL;
	}
	str_lower(in, mem);
	*ret = str_of(mem, in.n);
	if (!ul_conf.use_domain) {
		ptrdiff_t at = str_find_char(*ret, '@');

		if (at > 0)
			ret->n = (size_t)at;
	}
	return 0;
}

static int take_table_aor(struct rpc *rpc, const char *missing, char *mem, struct ul_domain **ret_d, struct str *ret_aor)
{
	struct str table, aor;

	if (rpc_arg_any_str(rpc, &table) < 0 || rpc_arg_any_str(rpc, &aor) < 0) {
		rpc_fault(rpc, 500, "%s", missing);
		return -EINVAL;
	}
	*ret_d = ul_domain_find(table);
	if (!*ret_d) {
		rpc_fault(rpc, 500, "Domain table not found");
		return -ENOENT;
	}
	if (take_aor(rpc, aor, mem, ret_aor) < 0)
		return -EINVAL;
	if (ul_loading(*ret_d) && ul_bring_sync(*ret_d, *ret_aor) < 0) {
		rpc_fault(rpc, 500, "Database not available");
		return -EIO;
	}
	return 0;
}

static bool no_memory_table(struct rpc *rpc)
{
	if (ul_conf.db_mode != 3)
		return false;
	rpc_fault(rpc, 500, "Command is not supported in db_mode=3");
	return true;
}

static void rpc_lookup(struct rpc *rpc)
{
	char mem[AOR_MAX];
	struct ul_domain *d;
	struct str aor;
	struct ul_list list = { 0 };
	struct pool *pool;
	struct rpc_node *top, *contacts;

	if (take_table_aor(rpc, "Not enough parameters (table and AOR to lookup)", mem, &d, &aor) < 0)
		return;
	if (no_memory_table(rpc))
		return;
	pool = pool_new((size_t)16 << 20);
	if (!pool) {
		rpc_fault(rpc, 500, "Internal Error");
		return;
	}
	if (ul_get(d, aor, pool, &list) < 0) {
		bool known = ul_get_all(d, aor, pool, &list) == 0;

		rpc_fault(rpc, 500, known ? "AOR has no contacts" : "AOR not found in location table");
	} else if ((top = rpc_add_object(rpc, NULL, NULL))) {
		rpc_add_str(rpc, top, "AoR", aor);
		contacts = rpc_add_array(rpc, top, "Contacts");
		for (unsigned i = 0; contacts && i < list.n; i++)
			add_contact(rpc, contacts, &list.c[i]);
	}
	pool_free(pool);
}

static void rpc_rm(struct rpc *rpc)
{
	char mem[AOR_MAX];
	struct ul_domain *d;
	struct str aor;
	int err;

	if (take_table_aor(rpc, "Not enough parameters (table and AOR to lookup)", mem, &d, &aor) < 0 || no_memory_table(rpc))
		return;
	err = ul_remove(d, aor, STR_NULL, NULL);
	if (err < 0 && err != -ENOENT)
		rpc_fault(rpc, 500, "Failed to delete AOR");
}

static void rpc_rm_contact(struct rpc *rpc)
{
	char mem[AOR_MAX];
	struct ul_domain *d;
	struct str aor, contact, ruid = STR_NULL;
	struct ul_list list = { 0 };
	struct pool *pool;

	if (take_table_aor(rpc, "Not enough parameters (table, AOR and contact)", mem, &d, &aor) < 0 || no_memory_table(rpc))
		return;
	if (rpc_arg_any_str(rpc, &contact) < 0) {
		rpc_fault(rpc, 500, "Not enough parameters (table, AOR and contact)");
		return;
	}
	pool = pool_new((size_t)16 << 20);
	if (!pool) {
		rpc_fault(rpc, 500, "Internal Error");
		return;
	}
	if (ul_get(d, aor, pool, &list) < 0)
		rpc_fault(rpc, 404, "AOR not found");
	else {
		for (unsigned i = 0; i < list.n && ruid.n == 0; i++)
			if (str_eq(list.c[i].uri, contact))
				ruid = list.c[i].ruid;
		if (ruid.n == 0 || ul_remove(d, aor, ruid, NULL) < 0)
			rpc_fault(rpc, 404, "Contact not found");
	}
	pool_free(pool);
}

/* "0" and "." say: not set. */
static int take_text(struct rpc *rpc, struct str *ret)
{
	struct str s;
	int err = rpc_arg_any_str(rpc, &s);

	if (err < 0)
		return err;
	*ret = str_eq(s, STR_LIT("0")) || str_eq(s, STR_LIT(".")) ? STR_NULL : s;
	return 0;
}

/* All that follows the AoR. -ERANGE: a fault is set. */
static int take_contact(struct rpc *rpc, struct ul_contact *c, int64_t *ret_expires, struct str *ret_socket)
{
	int64_t methods = -1;
	double q = -1;
	int err = rpc_arg_any_str(rpc, &c->uri);

	if (err == 0)
		err = rpc_arg_int(rpc, ret_expires);
	if (err == 0)
		err = rpc_arg_double(rpc, &q);
	if (err == 0)
		err = take_text(rpc, &c->path);
	if (err == 0)
		err = rpc_arg_mask(rpc, &c->flags);
	if (err == 0)
		err = rpc_arg_mask(rpc, &c->cflags);
	if (err == 0)
		err = rpc_arg_int_in(rpc, INT32_MIN, UINT32_MAX, &methods);
	if (err == 0 && rpc_args_left(rpc))
		err = take_text(rpc, &c->received);
	if (err == 0 && rpc_args_left(rpc))
		err = take_text(rpc, ret_socket);
	c->flags |= UL_F_RPC;
	c->q = q < 0 ? UL_Q_UNSET : q > 1 ? 1000 : (int16_t)(q * 1000 + 0.5);
	c->methods = methods < 0 ? UL_METHODS_ALL : (uint32_t)methods;
	return err;
}

static void rpc_add(struct rpc *rpc)
{
	char mem[AOR_MAX];
	struct ul_domain *d;
	struct str aor, socket = STR_NULL;
	struct ul_change ch = { .c = { .callid = STR_LIT("dfjrewr12386fd6-343@kamailio.rpc"), .cseq = 1, .listener = NET_LISTENER_NONE,
				       .user_agent = STR_LIT("ringfort SIP Router - RPC Server") } };
	struct ul_save s = { .changes = &ch, .n_changes = 1, .flags = UL_SAVE_FORCE, .matching_mode = -1 };
	const struct net_listener *l;
	int64_t expires;
	int err;

	if (take_table_aor(rpc, "Not enough parameters or wrong format", mem, &d, &aor) < 0 || no_memory_table(rpc))
		return;
	err = take_contact(rpc, &ch.c, &expires, &socket);
	if (err < 0) {
		if (err != -ERANGE)
			rpc_fault(rpc, 500, "Not enough parameters or wrong format");
		return;
	}
	if (ch.c.uri.n == 0 || ch.c.uri.n > 512 || expires < 0 || expires > 315360000) {
		rpc_fault(rpc, 500, "Invalid contact or expires");
		return;
	}
	l = socket.n ? net_listener_find(socket) : NULL;
	if (l)
		ch.c.listener = l->index;
	ch.c.expires = expires ? clock_wall_s() + expires : 0;
	s.pool = pool_new((size_t)16 << 20);
	if (!s.pool || ul_save(d, aor, &s) < 0)
		rpc_fault(rpc, 500, "Failed to add contact");
	pool_free(s.pool);
}

/* ---- database ---- */

static void rpc_flush(struct rpc *rpc)
{
	if ((ul_conf.db_mode == 1 || ul_conf.db_mode == 2) && ul_db_flush_sync() < 0)
		rpc_fault(rpc, 500, "Database not available");
}

static void db_count(struct rpc *rpc, int kind)
{
	struct str table;
	struct ul_domain *d;
	int64_t n;

	if (ul_conf.db_mode == 0) {
		rpc_fault(rpc, 500, "Command is not supported in db_mode=0");
		return;
	}
	if (rpc_arg_any_str(rpc, &table) < 0) {
		rpc_fault(rpc, 500, "Not enough parameters (table to lookup)");
		return;
	}
	d = ul_domain_find(table);
	if (!d)
		rpc_fault(rpc, 500, "Domain table not found");
	else if (ul_db_count(d, kind, &n) < 0)
		rpc_fault(rpc, 500, "Failed to query AoRs");
	else
		rpc_add_int(rpc, NULL, NULL, n);
}

static void rpc_db_users(struct rpc *rpc)
{
	db_count(rpc, 1);
}

static void rpc_db_contacts(struct rpc *rpc)
{
	db_count(rpc, 0);
}

static void rpc_db_expired(struct rpc *rpc)
{
	db_count(rpc, 2);
}

const struct rpc_method ul_rpcs[] = {
	{ "ul.dump", rpc_dump, 0, "Dump user location tables" },
	{ "ul.lookup", rpc_lookup, 0, "Lookup one AOR in the location table" },
	{ "ul.rm", rpc_rm, 0, "Delete an address of record including its contacts" },
	{ "ul.rm_contact", rpc_rm_contact, 0, "Delete a contact" },
	{ "ul.add", rpc_add, 0, "Add a new contact for an address of record" },
	{ "ul.flush", rpc_flush, 0, "Flush the usrloc memory cache to the database" },
	{ "ul.db_users", rpc_db_users, 0, "Tell number of different unexpired users in database table" },
	{ "ul.db_contacts", rpc_db_contacts, 0, "Tell number of unexpired contacts in database table" },
	{ "ul.db_expired_contacts", rpc_db_expired, 0, "Tell number of expired contacts in database table" },
	{ .name = NULL },
};
