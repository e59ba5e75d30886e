/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of record and contacts in shared memory. A table is a shm_hash of AoRs; each AoR has a chain of contact cells in
 * the order in which they will be tried. Everything of an AoR is guarded by the lock of its hash bucket.
 *
 * A cell is never changed: a new one is filled without any lock, linked in the place of the old by one store, and the old is
 * freed when the lock is gone. Each link or unlink is announced by an intent, so that the janitor can finish it: what the
 * chain reaches is made live, the rest is in the limbo of the dead process and is freed with it. Readers copy cells out under
 * the lock into private scratch memory, and make views of them afterwards.
 *
 * The number of contacts, the earliest expiry and the "dirty" mark of an AoR are derived and counted anew with each change.
 * User-Agent texts repeat, so they are interned; that table only grows, up to a limit, which makes it trivially crash-safe.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/num.h"
#include "core/net/listener.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/counter.h"
#include "shm/intent.h"
#include "shm/recover.h"
#include "shm/slot.h"

#define AOR_MAX 512u
#define UA_MAX 255u
#define SCRATCH_FIRST (64u * 1024u)
#define SCRATCH_MAX (64u * 1024u * 1024u)

static struct {
	struct ul_domain domain[UL_DOMAINS_MAX];
	unsigned n_domains;
	bool ready;
	struct shm_hash *names;
	int intent;
	int c_registered;
	/* of this process */
	char *scratch;
	size_t scratch_cap;
	pid_t ruid_pid;
	uint32_t ruid_time, ruid_count;
} store;

uint32_t ul_aor_hash(struct str aor)
{
	return hashfn32(aor);
}

/* ---- tables ---- */

unsigned ul_domain_count(void)
{
	return store.n_domains;
}

struct ul_domain *ul_domain_at(unsigned i)
{
	return i < store.n_domains ? &store.domain[i] : NULL;
}

bool ul_store_ready(void)
{
	return store.ready;
}

struct ul_domain *ul_domain_find(struct str name)
{
	for (unsigned i = 0; i < store.n_domains; i++)
		if (str_eq(store.domain[i].name, name))
			return &store.domain[i];
	return NULL;
}

int ul_domain_get(struct str name, struct ul_domain **ret_domain, struct diag *reterr)
{
	struct ul_domain *d = ul_domain_find(name);

	if (d) {
		*ret_domain = d;
		return 0;
	}
	if (name.n == 0 || name.n >= sizeof(d->name_mem))
		return diag_err(reterr, -EINVAL, 0, "a location table needs a name of 1 to %zu bytes", sizeof(d->name_mem) - 1);
	if (store.ready)
		return diag_err(reterr, -ENOENT, 0, "location table \"%.*s\" is not known since the start: a restart is needed",
				STR_FMT(name));
	if (store.n_domains == UL_DOMAINS_MAX)
		return diag_err(reterr, -ENOSPC, 0, "more than %u location tables", UL_DOMAINS_MAX);
	d = &store.domain[store.n_domains];
	memcpy(d->name_mem, name.s, name.n);
	d->name_mem[name.n] = 0;
	d->name = str_of(d->name_mem, name.n);
	d->index = store.n_domains++;
	*ret_domain = d;
	return 0;
}

static int stat_register(struct ul_domain *d, unsigned i, const char *what)
{
	snprintf(d->stat_name[i], sizeof(d->stat_name[i]), "%.*s-%s", STR_FMT(d->name), what);
	return shm_counter_register("usrloc", d->stat_name[i]);
}

static int change_redo(const struct shm_intent *in);

/* AoRs are counted by the table as well, cell by cell, and that count is exact after a death. */
static int users_recover(unsigned slot)
{
	int64_t all = 0;

	for (unsigned i = 0; i < store.n_domains; i++) {
		const struct ul_domain *d = &store.domain[i];
		int64_t n = d->hash ? shm_hash_count_of(d->hash, slot) : 0;

		shm_counter_set_of(d->c_users, slot, n);
		all += n;
	}
	shm_counter_set_of(store.c_registered, slot, all);
	return 0;
}

/* In every child: its ruids are its own. Asking for the pid each time would be a system call per contact. */
static void ruid_forget(void)
{
	store.ruid_pid = 0;
}

int ul_store_init(void)
{
	uint32_t buckets = ul_conf.hash_size <= 1 ? 512 : (uint32_t)1 << ul_conf.hash_size;
	int err;

	if (buckets < 16)
		buckets = 16;
	err = pthread_atfork(NULL, NULL, ruid_forget);
	if (err)
		return -err;
	store.intent = shm_intent_register("usrloc.change", change_redo);
	if (store.intent < 0)
		return store.intent;
	store.c_registered = shm_counter_register("usrloc", "registered_users");
	if (store.c_registered < 0)
		return store.c_registered;
	err = shm_hash_new(64, &store.names);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < store.n_domains; i++) {
		struct ul_domain *d = &store.domain[i];

		err = shm_hash_new(buckets, &d->hash);
		if (err < 0)
			return err;
		d->c_users = stat_register(d, 0, "users");
		d->c_contacts = stat_register(d, 1, "contacts");
		d->c_expires = stat_register(d, 2, "expires");
		if (d->c_users < 0 || d->c_contacts < 0 || d->c_expires < 0)
			return -ENOSPC;
	}
	err = shm_recover_register("usrloc", users_recover);
	if (err == 0)
		err = shm_check_register("usrloc", ul_check);
	if (err < 0)
		return err;
	store.ready = true;
	return 0;
}

/* ---- private scratch memory ---- */

static int scratch_grow(size_t need)
{
	size_t cap = store.scratch_cap ? store.scratch_cap : SCRATCH_FIRST;
	char *p;

	while (cap < need)
		cap *= 2;
	if (cap > SCRATCH_MAX)
		return -EMSGSIZE;
	if (cap == store.scratch_cap)
		return 0;
	p = realloc(store.scratch, cap);
	if (!p)
		return -ENOMEM;
	store.scratch = p;
	store.scratch_cap = cap;
	return 0;
}

/* ---- record unique ids ---- */

static size_t hex_put(char *out, uint32_t v)
{
	static const char digit[] = "0123456789abcdef";
	unsigned shift = 28;
	size_t n = 0;

	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		out[n++] = digit[v >> shift & 15];
		if (shift == 0)
			return n;
	}
}

static size_t cell_text_len(const struct ul_cell *c)
{
	return (size_t)c->n_uri + c->n_callid + c->n_received + c->n_path + c->n_instance + c->n_user_agent + c->n_xavps +
	       c->n_ruid + c->n_socket;
}

static size_t cell_size(const struct ul_cell *c)
{
	return sizeof(*c) + cell_text_len(c);
}

size_t ul_ruid_text(const struct ul_cell *c, char out[UL_RUID_MAX])
{
	size_t n = 0;

	if (c->ruid_kind == UL_RUID_TEXT) {
		size_t off = cell_text_len(c) - c->n_socket - c->n_ruid;

		memcpy(out, c->text + off, c->n_ruid);
		return c->n_ruid;
	}
	memcpy(out, c->ruid_kind == UL_RUID_ULOC ? "uloc-" : "ulcx-", 5);
	n = 5;
	if (c->server_id) {
		n += hex_put(out + n, c->server_id);
		out[n++] = '-';
	}
	n += hex_put(out + n, c->ruid_time);
	out[n++] = '-';
	n += hex_put(out + n, c->ruid_pid);
	out[n++] = '-';
	n += hex_put(out + n, c->ruid_count);
	return n;
}

bool ul_ruid_parse(struct str text, struct ul_cell *c)
{
	struct ul_cell t = *c;
	struct str rest = text;
	uint64_t v[4];
	unsigned n = 0;
	char back[UL_RUID_MAX];

	if (str_starts(text, STR_LIT("uloc-")))
		t.ruid_kind = UL_RUID_ULOC;
	else if (str_starts(text, STR_LIT("ulcx-")))
		t.ruid_kind = UL_RUID_ULCX;
	else
		return false;
	rest = str_sub(rest, 5, rest.n);
	while (n < 4) {
		ptrdiff_t at = str_find_char(rest, '-');
		struct str part = at < 0 ? rest : str_sub(rest, 0, (size_t)at);

		if (num_hex_u64(part, &v[n]) < 0 || v[n] > UINT32_MAX)
			return false;
		n++;
		if (at < 0)
			break;
		rest = str_sub(rest, (size_t)at + 1, rest.n);
	}
	if (n != 3 + (c->server_id != 0))
		return false;
	t.ruid_time = (uint32_t)v[n - 3];
	t.ruid_pid = (uint32_t)v[n - 2];
	t.ruid_count = (uint32_t)v[n - 1];
	/* only what prints back to the same bytes may be kept as numbers */
	if (!str_eq(str_of(back, ul_ruid_text(&t, back)), text))
		return false;
	c->ruid_kind = t.ruid_kind;
	c->ruid_time = t.ruid_time;
	c->ruid_pid = t.ruid_pid;
	c->ruid_count = t.ruid_count;
	return true;
}

void ul_ruid_make(struct ul_cell *c, enum ul_ruid_kind kind)
{
	if (UNLIKELY(!store.ruid_pid)) {
		store.ruid_pid = getpid();
		store.ruid_time = (uint32_t)clock_wall_s();
		store.ruid_count = 0;
	}
	c->ruid_kind = (uint8_t)kind;
	c->ruid_time = store.ruid_time;
	c->ruid_pid = (uint32_t)store.ruid_pid;
	c->ruid_count = ++store.ruid_count;
}

int ul_ruid_new(struct pool *pool, struct ul_contact *c)
{
	struct ul_cell cell = { .server_id = c->server_id };
	char mem[UL_RUID_MAX];

	ul_ruid_make(&cell, UL_RUID_ULOC);
	c->ruid = str_dup(pool, str_of(mem, ul_ruid_text(&cell, mem)));
	return c->ruid.s ? 0 : -ENOMEM;
}

/* ---- interned texts ---- */

static bool name_eq(const struct shm_hnode *node, const void *key)
{
	const struct ul_name *name = CONTAINER_OF(node, const struct ul_name, node);
	const struct str *s = key;

	return str_eq(str_of(name->text, name->n), *s);
}

/* SHM_NONE when the table is full: the text then goes behind the cell. */
static shm_ref name_intern(struct str s)
{
	uint32_t hash = hashfn32(s);
	struct ul_name *spare = NULL;
	shm_ref ref = SHM_NONE;

	for (;;) {
		struct shm_hbucket *b = shm_hash_lock(store.names, hash);
		struct shm_hnode *node = shm_hash_find_locked(b, hash, name_eq, &s);

		if (!node && spare) {
			shm_hash_insert_locked(store.names, b, &spare->node);
			shm_hash_unlock(b);
			shm_hash_grow(store.names);
			return shm_ref_of(spare);
		}
		shm_hash_unlock(b);
		if (node) {
			ref = shm_ref_of(node);
			break;
		}
		if (shm_hash_count(store.names) >= UL_NAMES_MAX)
			break;
		spare = shm_alloc(sizeof(*spare) + s.n);
		if (!spare)
			break;
		spare->node.hash = hash;
		spare->n = (uint32_t)s.n;
		memcpy(spare->text, s.s, s.n);
	}
	shm_free(spare);
	return ref;
}

/* ---- cells ---- */

static char *text_put(char *at, struct str s)
{
	if (s.n)
		memcpy(at, s.s, s.n);
	return at + s.n;
}

static struct ul_cell *cell_new(const struct ul_contact *c)
{
	struct str ua = str_sub(c->user_agent, 0, UA_MAX);
	shm_ref ua_ref = ua.n ? name_intern(ua) : SHM_NONE;
	struct ul_cell head = { .expires = (uint32_t)c->expires, .modified = (uint32_t)(c->modified ? c->modified : clock_wall_s()),
				.cseq = c->cseq, .flags = c->flags, .cflags = c->cflags, .methods = c->methods, .conn_id = c->conn_id,
				.reg_id = c->reg_id, .user_agent = ua_ref, .q = c->q, .listener = c->listener, .server_id = c->server_id };
	struct ul_cell *cell;
	char *at;

	if (c->uri.n > UINT16_MAX || c->callid.n > UINT16_MAX || c->received.n > UINT16_MAX || c->path.n > UINT16_MAX ||
	    c->instance.n > UINT16_MAX || c->xavps.n > UINT16_MAX || c->ruid.n >= UL_RUID_MAX || c->socket.n > UINT16_MAX)
		return NULL;
	head.n_uri = (uint16_t)c->uri.n;
	head.n_callid = (uint16_t)c->callid.n;
	head.n_received = (uint16_t)c->received.n;
	head.n_path = (uint16_t)c->path.n;
	head.n_instance = (uint16_t)c->instance.n;
	head.n_user_agent = ua_ref ? 0 : (uint16_t)ua.n;
	head.n_xavps = (uint16_t)c->xavps.n;
	head.n_socket = (uint16_t)c->socket.n;
	if (c->ruid.n == 0)
		ul_ruid_make(&head, c->flags & UL_F_RPC ? UL_RUID_ULCX : UL_RUID_ULOC);
	else if (!ul_ruid_parse(c->ruid, &head))
		head.n_ruid = (uint16_t)c->ruid.n;
	atomic_init(&head.state, (uint8_t)c->state);
	atomic_init(&head.last_keepalive, (uint32_t)c->last_keepalive);

	cell = shm_alloc(cell_size(&head));
	if (!cell)
		return NULL;
	memcpy(cell, &head, sizeof(head));
	at = text_put(cell->text, c->uri);
	at = text_put(at, c->callid);
	at = text_put(at, c->received);
	at = text_put(at, c->path);
	at = text_put(at, c->instance);
	at = text_put(at, str_sub(ua, 0, head.n_user_agent));
	at = text_put(at, c->xavps);
	at = text_put(at, str_sub(c->ruid, 0, head.n_ruid));
	text_put(at, c->socket);
	return cell;
}

static struct str text_take(const char **at, size_t n)
{
	struct str s = str_of(*at, n);

	*at += n;
	return s;
}

/* Views into cell, which must stay; the ruid is written to ruid_mem. */
static void cell_view(const struct ul_cell *cell, char *ruid_mem, struct ul_contact *c)
{
	const struct ul_name *ua = shm_ptr(cell->user_agent);
	const char *at = cell->text;

	*c = (struct ul_contact){ .expires = cell->expires, .modified = cell->modified, .cseq = cell->cseq, .flags = cell->flags,
		.cflags = cell->cflags, .methods = cell->methods, .conn_id = cell->conn_id, .reg_id = cell->reg_id,
		.version = cell->version, .q = cell->q, .listener = cell->listener, .server_id = cell->server_id };
	c->last_keepalive = atomic_load_explicit(&cell->last_keepalive, memory_order_relaxed);
	c->ka_roundtrip_us = atomic_load_explicit(&cell->ka_roundtrip_us, memory_order_relaxed);
	c->state = (enum ul_state)atomic_load_explicit(&cell->state, memory_order_relaxed);
	c->uri = text_take(&at, cell->n_uri);
	c->callid = text_take(&at, cell->n_callid);
	c->received = text_take(&at, cell->n_received);
	c->path = text_take(&at, cell->n_path);
	c->instance = text_take(&at, cell->n_instance);
	c->user_agent = text_take(&at, cell->n_user_agent);
	c->xavps = text_take(&at, cell->n_xavps);
	at += cell->n_ruid;
	c->socket = text_take(&at, cell->n_socket);
	if (ua)
		c->user_agent = str_of(ua->text, ua->n);
	c->ruid = str_of(ruid_mem, ul_ruid_text(cell, ruid_mem));
}

static struct str cell_uri(const struct ul_cell *c)
{
	return str_of(c->text, c->n_uri);
}

static struct str cell_callid(const struct ul_cell *c)
{
	return str_of(c->text + c->n_uri, c->n_callid);
}

bool ul_cell_valid(const struct ul_cell *c, uint32_t now)
{
	return atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED && (c->expires == 0 || c->expires > now);
}

static bool cell_has_ruid(const struct ul_cell *c, struct str ruid)
{
	char mem[UL_RUID_MAX];

	return str_eq(str_of(mem, ul_ruid_text(c, mem)), ruid);
}

bool ul_matches(const struct ul_contact *have, const struct ul_contact *c, int mode, bool match_received)
{
	if (match_received && !str_eq(have->received, c->received))
		return false;
	if (c->instance.n)
		return str_eq(have->instance, c->instance) && have->reg_id == c->reg_id;
	switch (mode) {
	case 1:
		return str_eq(have->uri, c->uri) && str_eq(have->callid, c->callid);
	case 2:
		return str_eq(have->uri, c->uri) && str_eq(have->path, c->path);
	case 3:
		return str_eq(have->callid, c->callid);
	default:
		return str_eq(have->uri, c->uri);
	}
}

static bool cell_matches(const struct ul_cell *cell, const struct ul_contact *c, int mode, bool match_received)
{
	const char *at = cell->text;
	struct ul_contact have;

	if (!match_received && !c->instance.n && mode == 0)
		return str_eq(cell_uri(cell), c->uri);
	have.reg_id = cell->reg_id;
	have.uri = text_take(&at, cell->n_uri);
	have.callid = text_take(&at, cell->n_callid);
	have.received = text_take(&at, cell->n_received);
	have.path = text_take(&at, cell->n_path);
	have.instance = text_take(&at, cell->n_instance);
	return ul_matches(&have, c, mode, match_received);
}

/* ---- addresses of record; the bucket is locked in all that follows ---- */

static struct str aor_text(const struct ul_aor *a)
{
	return str_of(a->text + sizeof(uint16_t), *(const uint16_t *)(const void *)a->text);
}

static bool aor_eq(const struct shm_hnode *node, const void *key)
{
	const struct str *s = key;

	return str_eq(aor_text(CONTAINER_OF(node, const struct ul_aor, node)), *s);
}

static struct ul_aor *aor_new(struct str aor, uint32_t hash)
{
	struct ul_aor *a = shm_alloc(sizeof(*a) + sizeof(uint16_t) + aor.n);
	uint16_t n = (uint16_t)aor.n;

	if (!a)
		return NULL;
	memset(a, 0, sizeof(*a));
	a->node.hash = hash;
	memcpy(a->text, &n, sizeof(n));
	memcpy(a->text + sizeof(n), aor.s, aor.n);
	return a;
}

static struct ul_cell *cell_first(const struct ul_aor *a)
{
	return shm_ptr(atomic_load_explicit(&a->head, memory_order_relaxed));
}

static struct ul_cell *cell_next(const struct ul_cell *c)
{
	return shm_ptr(atomic_load_explicit(&c->next, memory_order_relaxed));
}

static void aor_recount(struct ul_aor *a)
{
	uint32_t n = 0, due = UINT32_MAX, dirty = 0;

	for (const struct ul_cell *c = cell_first(a); c; c = cell_next(c)) {
		uint8_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

		n++;
		if (c->expires && c->expires < due)
			due = c->expires;
		if (state != UL_SYNC && !(c->flags & UL_F_MEM_ONLY))
			dirty = 1;
	}
	a->n = n;
	/* an empty one (a crash left it) is due at once */
	atomic_store_explicit(&a->due, n ? due : 0, memory_order_relaxed);
	atomic_store_explicit(&a->dirty, dirty, memory_order_relaxed);
}

/* The place that refers to c; NULL when the chain does not have it. */
static _Atomic shm_ref *cell_place(struct ul_aor *a, const struct ul_cell *c)
{
	_Atomic shm_ref *at = &a->head;
	shm_ref want = shm_ref_of(c);

	for (shm_ref r; (r = atomic_load_explicit(at, memory_order_relaxed)) != SHM_NONE;) {
		if (r == want)
			return at;
		at = &((struct ul_cell *)shm_ptr(r))->next;
	}
	return NULL;
}

static void cell_unlink(struct ul_aor *a, const struct ul_cell *c)
{
	_Atomic shm_ref *at = cell_place(a, c);

	if (at)
		atomic_store_explicit(at, atomic_load_explicit(&c->next, memory_order_relaxed), memory_order_release);
}

static void change_begin(const struct ul_domain *d, const struct ul_aor *a, const struct ul_cell *old, const struct ul_cell *fresh)
{
	unsigned slot = (unsigned)shm_slot_self();
	uint64_t args[6] = { shm_ref_of(a), shm_ref_of(old), shm_ref_of(fresh), d->index, slot, (uint64_t)shm_counter_of(d->c_contacts, slot) };

	shm_intent_begin(store.intent, args, 6);
}

/*
 * Links fresh (NULL: nothing) and takes old (NULL: nothing) out. From the intent on, the janitor finishes what the first store
 * to the chain began; before it, old stays.
 */
static void cell_change(const struct ul_domain *d, struct ul_aor *a, struct ul_cell *old, struct ul_cell *fresh)
{
	bool newest_first = ul_conf.desc_time_order != 0;

	CRASH_POINT("usrloc.change.begin");
	change_begin(d, a, old, fresh);
	CRASH_POINT("usrloc.change.intent");
	if (old)
		shm_retire(old);
	CRASH_POINT("usrloc.change.retired");
	if (fresh && old && !newest_first && old->q == fresh->q) {
		_Atomic shm_ref *at = cell_place(a, old);

		atomic_store_explicit(&fresh->next, atomic_load_explicit(&old->next, memory_order_relaxed), memory_order_relaxed);
		atomic_store_explicit(at, shm_ref_of(fresh), memory_order_release);
		CRASH_POINT("usrloc.change.swapped");
	} else {
		if (fresh) {
			_Atomic shm_ref *at = &a->head;
			struct ul_cell *c;

			while (!newest_first && (c = shm_ptr(atomic_load_explicit(at, memory_order_relaxed))) && c->q >= fresh->q)
				at = &c->next;
			atomic_store_explicit(&fresh->next, atomic_load_explicit(at, memory_order_relaxed), memory_order_relaxed);
			atomic_store_explicit(at, shm_ref_of(fresh), memory_order_release);
			CRASH_POINT("usrloc.change.linked");
		}
		if (old)
			cell_unlink(a, old);
		CRASH_POINT("usrloc.change.unlinked");
	}
	if (fresh)
		shm_publish(fresh);
	CRASH_POINT("usrloc.change.published");
	aor_recount(a);
	shm_counter_add(d->c_contacts, (fresh != NULL) - (old != NULL));
	CRASH_POINT("usrloc.change.counted");
	shm_intent_end();
	CRASH_POINT("usrloc.change.end");
}

/* Janitor: the dead process held the bucket's lock. What the chain reaches lives; what it does not is in limbo already. */
static int change_redo(const struct shm_intent *in)
{
	struct ul_aor *a = shm_ptr((shm_ref)in->arg[0]);
	struct ul_cell *old = shm_ptr((shm_ref)in->arg[1]);
	struct ul_cell *fresh = shm_ptr((shm_ref)in->arg[2]);
	const struct ul_domain *d = ul_domain_at((unsigned)in->arg[3]);

	if (!a || !shm_is_live(a))
		return 0;
	if (old && fresh && cell_place(a, old) && cell_place(a, fresh))
		cell_unlink(a, old);
	for (struct ul_cell *c = cell_first(a); c; c = cell_next(c))
		shm_publish(c);
	aor_recount(a);
	if (d)
		shm_counter_set_of(d->c_contacts, (unsigned)in->arg[4],
				   (int64_t)in->arg[5] + (fresh && cell_place(a, fresh)) - (old && !cell_place(a, old)));
	return 0;
}

/* The database must hear of it first: then it is only marked. Returns whether the cell was unlinked, into *retired. */
static bool cell_remove(struct ul_domain *d, struct ul_aor *a, struct ul_cell *c, bool for_good, struct ul_cell **retired)
{
	bool in_db = (ul_conf.db_mode == 1 || ul_conf.db_mode == 2) && !(c->flags & UL_F_MEM_ONLY) &&
		     atomic_load_explicit(&c->state, memory_order_relaxed) != UL_NEW;

	if (in_db && !for_good) {
		atomic_store_explicit(&c->state, UL_DELETED, memory_order_relaxed);
		atomic_store_explicit(&a->dirty, 1, memory_order_relaxed);
		return false;
	}
	cell_change(d, a, c, NULL);
	atomic_store_explicit(&c->next, shm_ref_of(*retired), memory_order_relaxed);
	*retired = c;
	return true;
}

/* Takes an AoR without contacts out of the table: then it is to be freed. */
static struct ul_aor *aor_drop_empty(struct ul_domain *d, struct shm_hbucket *b, struct ul_aor *a)
{
	if (cell_first(a))
		return NULL;
	CRASH_POINT("usrloc.aor.empty");
	shm_hash_remove_locked(d->hash, b, &a->node);
	CRASH_POINT("usrloc.aor.removed");
	shm_counter_add(d->c_users, -1);
	shm_counter_add(store.c_registered, -1);
	return a;
}

static void cells_free(struct ul_cell *retired)
{
	while (retired) {
		struct ul_cell *next = cell_next(retired);

		CRASH_POINT("usrloc.free");
		shm_free(retired);
		retired = next;
	}
}

static struct ul_aor *aor_find(struct shm_hbucket *b, uint32_t hash, struct str aor)
{
	struct shm_hnode *node = shm_hash_find_locked(b, hash, aor_eq, &aor);

	return node ? CONTAINER_OF(node, struct ul_aor, node) : NULL;
}

/* ---- copying out ---- */

enum copy_what { COPY_VALID, COPY_ALL, COPY_UNWRITTEN };

struct copied {
	unsigned n;
	size_t bytes; /* in scratch */
};

static bool cell_wanted(const struct ul_cell *c, enum copy_what what, uint32_t now)
{
	uint8_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

	switch (what) {
	case COPY_VALID:
		return ul_cell_valid(c, now);
	case COPY_UNWRITTEN:
		return !(c->flags & UL_F_MEM_ONLY) && (state == UL_DELETED || (state != UL_SYNC && ul_cell_valid(c, now)));
	default:
		return true;
	}
}

/* Returns 0, or the bytes of scratch that it needs. */
static size_t copy_locked(struct ul_aor *a, enum copy_what what, uint32_t now, struct copied *ret)
{
	struct copied c = { 0 };

	for (struct ul_cell *cell = cell_first(a); cell; cell = cell_next(cell)) {
		size_t n = cell_size(cell);

		if (!cell_wanted(cell, what, now))
			continue;
		/* it is about to be sent: from now on the database may have it */
		if (what == COPY_UNWRITTEN && atomic_load_explicit(&cell->state, memory_order_relaxed) == UL_NEW)
			atomic_store_explicit(&cell->state, UL_DIRTY, memory_order_relaxed);
		if (c.bytes + n <= store.scratch_cap)
			memcpy(store.scratch + c.bytes, cell, n);
		c.bytes += n + (-n & 7u);
		c.n++;
	}
	if (c.bytes > store.scratch_cap)
		return c.bytes;
	*ret = c;
	return 0;
}

/* From scratch to the caller's pool. */
static int copied_list(const struct copied *copied, struct pool *pool, struct ul_list *ret_list)
{
	struct ul_contact *list;
	char *mem, *ruids;
	size_t off = 0;

	ret_list->n = 0;
	ret_list->c = NULL;
	if (copied->n == 0)
		return 0;
	list = pool_alloc(pool, copied->n * sizeof(*list));
	mem = pool_alloc(pool, copied->bytes + copied->n * UL_RUID_MAX);
	if (!list || !mem)
		return -ENOMEM;
	ruids = mem + copied->bytes;
	memcpy(mem, store.scratch, copied->bytes);
	for (unsigned i = 0; i < copied->n; i++) {
		const struct ul_cell *cell = (const struct ul_cell *)(const void *)(mem + off);
		size_t n = cell_size(cell);

		cell_view(cell, ruids + (size_t)i * UL_RUID_MAX, &list[i]);
		off += n + (-n & 7u);
	}
	ret_list->c = list;
	ret_list->n = copied->n;
	return 0;
}

static int get(struct ul_domain *d, struct str aor, enum copy_what what, struct pool *pool, struct ul_list *ret_list)
{
	uint32_t hash = hashfn32(aor), now = (uint32_t)clock_wall_s();
	size_t need = store.scratch_cap ? 0 : SCRATCH_FIRST;

	for (unsigned i = 0; i < 16; i++) {
		struct copied copied = { 0 };
		struct shm_hbucket *b;
		struct ul_aor *a;
		int err;

		if (need) {
			err = scratch_grow(need);
			if (err < 0)
				return err;
		}
		b = shm_hash_lock(d->hash, hash);
		a = aor_find(b, hash, aor);
		need = a ? copy_locked(a, what, now, &copied) : 0;
		shm_hash_unlock(b);
		if (need)
			continue;
		ret_list->aor_hash = hash;
		err = copied_list(&copied, pool, ret_list);
		return err < 0 ? err : copied.n ? 0 : -ENOENT;
	}
	return -EMSGSIZE;
}

int ul_get(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, COPY_VALID, pool, ret_list);
}

int ul_get_all(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, COPY_ALL, pool, ret_list);
}

int ul_get_unwritten(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, COPY_UNWRITTEN, pool, ret_list);
}

static bool aor_has_ruid(const struct shm_hnode *node, const void *key)
{
	const struct ul_aor *a = CONTAINER_OF(node, const struct ul_aor, node);
	const struct str *ruid = key;

	for (const struct ul_cell *c = cell_first(a); c; c = cell_next(c))
		if (cell_has_ruid(c, *ruid))
			return true;
	return false;
}

int ul_get_ruid(struct ul_domain *d, uint32_t aor_hash, struct str ruid, struct pool *pool, struct str *ret_aor, struct ul_list *ret_list)
{
	struct shm_hbucket *b = shm_hash_lock(d->hash, aor_hash);
	struct shm_hnode *node = shm_hash_find_locked(b, aor_hash, aor_has_ruid, &ruid);
	char mem[AOR_MAX];
	struct str aor = STR_NULL;

	if (node) {
		struct str t = aor_text(CONTAINER_OF(node, struct ul_aor, node));

		memcpy(mem, t.s, t.n);
		aor = str_of(mem, t.n);
	}
	shm_hash_unlock(b);
	if (!node)
		return -ENOENT;
	*ret_aor = str_dup(pool, aor);
	return ret_aor->s ? ul_get(d, *ret_aor, pool, ret_list) : -ENOMEM;
}

/* ---- saving ---- */

struct plan {
	struct ul_cell *old[UL_CHANGES_MAX];
	struct ul_cell *fresh[UL_CHANGES_MAX];
	bool skip[UL_CHANGES_MAX]; /* a later change of the same message says otherwise */
	uint32_t now;
	int mode;
};

/* One contact answers for one change. */
static bool plan_claimed(const struct plan *p, unsigned i, const struct ul_cell *c)
{
	for (unsigned k = 0; k < i; k++)
		if (p->old[k] == c)
			return true;
	return false;
}

/* What each change means; nothing is changed yet. */
static int plan_make(struct ul_save *s, const struct ul_aor *a, struct plan *p)
{
	unsigned n_valid = 0, n_new = 0, n_gone = 0;

	for (const struct ul_cell *c = a ? cell_first(a) : NULL; c; c = cell_next(c))
		n_valid += ul_cell_valid(c, p->now);
	for (unsigned i = 0; i < s->n_changes; i++) {
		struct ul_change *ch = &s->changes[i];
		struct ul_cell *old = a ? cell_first(a) : NULL;

		p->old[i] = NULL;
		ch->outcome = UL_O_NOTHING;
		if (p->skip[i])
			continue;
		while (old && (atomic_load_explicit(&old->state, memory_order_relaxed) == UL_DELETED ||
			       !cell_matches(old, &ch->c, p->mode, s->match_received) || plan_claimed(p, i, old)))
			old = cell_next(old);
		p->old[i] = old;
		if (!old) {
			ch->outcome = ch->remove ? UL_O_NOTHING : UL_O_INSERTED;
			n_new += !ch->remove;
			continue;
		}
		ch->outcome = ch->remove ? UL_O_REMOVED : UL_O_UPDATED;
		if (!ch->c.instance.n && !(s->flags & UL_SAVE_FORCE) && str_eq(cell_callid(old), ch->c.callid)) {
			if (ch->c.cseq < old->cseq)
				return -ESTALE;
			if (ch->c.cseq == old->cseq) {
				if (p->now > (uint64_t)old->modified + (unsigned)ul_conf.cseq_delay)
					return -ESTALE;
				ch->outcome = UL_O_RETRANSMIT;
			}
		}
		if (ch->outcome == UL_O_REMOVED)
			n_gone += ul_cell_valid(old, p->now);
		else if (ch->outcome == UL_O_UPDATED)
			n_new += !ul_cell_valid(old, p->now);
	}
	if (s->max_contacts && n_new && !(s->flags & UL_SAVE_ONE && a) && n_valid + n_new - n_gone > s->max_contacts)
		return -E2BIG;
	return 0;
}

/* What the new cell takes over from the one that it replaces. */
static void cell_inherit(struct ul_cell *fresh, const struct ul_cell *old)
{
	uint8_t state = atomic_load_explicit(&old->state, memory_order_relaxed);

	if (old->ruid_kind != UL_RUID_TEXT) {
		fresh->ruid_kind = old->ruid_kind;
		fresh->ruid_time = old->ruid_time;
		fresh->ruid_pid = old->ruid_pid;
		fresh->ruid_count = old->ruid_count;
		fresh->server_id = old->server_id;
		atomic_store_explicit(&fresh->state, state == UL_NEW ? UL_NEW : UL_DIRTY, memory_order_relaxed);
	}
	fresh->version = old->version + 1;
	atomic_store_explicit(&fresh->last_keepalive, fresh->modified, memory_order_relaxed);
}

static void plan_apply(struct ul_domain *d, struct ul_save *s, struct ul_aor *a, struct plan *p, struct ul_cell **retired)
{
	if (s->flags & (UL_SAVE_ONE | UL_SAVE_REMOVE_ALL)) {
		for (struct ul_cell *c = cell_first(a), *next; c; c = next) {
			bool named = false;

			next = cell_next(c);
			for (unsigned i = 0; i < s->n_changes && !named; i++)
				named = p->old[i] == c;
			if (!named && atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED)
				cell_remove(d, a, c, false, retired);
		}
	}
	for (unsigned i = 0; i < s->n_changes; i++) {
		struct ul_change *ch = &s->changes[i];
		struct ul_cell *old = p->old[i], *fresh = p->fresh[i];

		switch (ch->outcome) {
		case UL_O_REMOVED:
			cell_remove(d, a, old, false, retired);
			break;
		case UL_O_INSERTED:
			cell_change(d, a, NULL, fresh);
			p->fresh[i] = NULL;
			break;
		case UL_O_UPDATED:
			if (old->ruid_kind == UL_RUID_TEXT) { /* somebody else's id, as text: it gets one of ours */
				cell_change(d, a, NULL, fresh);
				cell_remove(d, a, old, false, retired);
			} else {
				cell_inherit(fresh, old);
				cell_change(d, a, old, fresh);
				atomic_store_explicit(&old->next, shm_ref_of(*retired), memory_order_relaxed);
				*retired = old;
			}
			p->fresh[i] = NULL;
			break;
		case UL_O_NOTHING:
		case UL_O_RETRANSMIT:
			break;
		}
	}
}

static void plan_supersede(const struct ul_save *s, struct plan *p)
{
	for (unsigned i = 0; i < s->n_changes; i++) {
		p->skip[i] = false;
		for (unsigned j = i + 1; j < s->n_changes && !p->skip[i]; j++)
			p->skip[i] = ul_matches(&s->changes[i].c, &s->changes[j].c, p->mode, s->match_received);
	}
}

int ul_save(struct ul_domain *d, struct str aor, struct ul_save *s)
{
	uint32_t hash = hashfn32(aor);
	struct plan p; /* filled as far as there are changes */
	struct ul_aor *a, *spare = NULL, *empty = NULL;
	struct ul_cell *retired = NULL;
	struct copied copied = { 0 };
	struct shm_hbucket *b;
	bool wants_aor = false, inserted = false;
	size_t need = 0;
	int err;

	if (s->n_changes > UL_CHANGES_MAX || aor.n == 0 || aor.n > AOR_MAX)
		return -EMSGSIZE;
	if (!store.scratch) {
		err = scratch_grow(SCRATCH_FIRST);
		if (err < 0)
			return err;
	}
	shm_hash_prefetch(d->hash, hash); /* comes while the new cells are written */
	p.now = (uint32_t)clock_wall_s();
	p.mode = s->matching_mode < 0 ? ul_conf.matching_mode : s->matching_mode;
	for (unsigned i = 0; i < s->n_changes; i++)
		p.fresh[i] = NULL;
	plan_supersede(s, &p);
	for (unsigned i = 0; i < s->n_changes; i++) {
		if (s->changes[i].remove || p.skip[i])
			continue;
		if (s->flags & UL_SAVE_MEM_ONLY)
			s->changes[i].c.flags |= UL_F_MEM_ONLY;
		p.fresh[i] = cell_new(&s->changes[i].c);
		err = -ENOSPC;
		if (!p.fresh[i])
			goto out;
		wants_aor = true;
	}
	CRASH_POINT("usrloc.save.filled");
	b = shm_hash_lock(d->hash, hash);
	a = aor_find(b, hash, aor);
	if (!a && wants_aor) {
		shm_hash_unlock(b);
		spare = aor_new(aor, hash);
		err = -ENOSPC;
		if (!spare)
			goto out;
		b = shm_hash_lock(d->hash, hash);
		a = aor_find(b, hash, aor);
	}
	err = plan_make(s, a, &p);
	if (err < 0) {
		shm_hash_unlock(b);
		goto out;
	}
	if (!a && wants_aor) {
		a = spare;
		spare = NULL;
		shm_hash_insert_locked(d->hash, b, &a->node);
		CRASH_POINT("usrloc.aor.inserted");
		shm_counter_add(d->c_users, 1);
		shm_counter_add(store.c_registered, 1);
		inserted = true;
	}
	s->ret_any_new = s->ret_wants_db = false;
	if (a) {
		plan_apply(d, s, a, &p, &retired);
		need = copy_locked(a, COPY_VALID, p.now, &copied);
		s->ret_wants_db = atomic_load_explicit(&a->dirty, memory_order_relaxed) != 0;
		empty = aor_drop_empty(d, b, a);
	}
	shm_hash_unlock(b);
	CRASH_POINT("usrloc.save.unlocked");
	if (inserted)
		shm_hash_grow(d->hash);
	for (unsigned i = 0; i < s->n_changes; i++)
		s->ret_any_new |= s->changes[i].outcome == UL_O_INSERTED;
	s->ret_list.aor_hash = hash;
	if (need) {
		err = ul_get(d, aor, s->pool, &s->ret_list);
		err = err == -ENOENT ? 0 : err;
	} else {
		err = copied_list(&copied, s->pool, &s->ret_list);
	}
out:
	cells_free(retired);
	shm_free(empty);
	shm_free(spare);
	for (unsigned i = 0; i < s->n_changes; i++)
		shm_free(p.fresh[i]);
	return err;
}

int ul_load(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	uint32_t hash = hashfn32(aor);
	struct ul_cell *cell = aor.n && aor.n <= AOR_MAX ? cell_new(c) : NULL;
	struct ul_aor *a, *spare = NULL;
	struct shm_hbucket *b;

	if (!cell)
		return aor.n && aor.n <= AOR_MAX ? -ENOSPC : -EMSGSIZE;
	b = shm_hash_lock(d->hash, hash);
	a = aor_find(b, hash, aor);
	if (!a) {
		shm_hash_unlock(b);
		spare = aor_new(aor, hash);
		if (!spare) {
			shm_free(cell);
			return -ENOSPC;
		}
		b = shm_hash_lock(d->hash, hash);
		a = aor_find(b, hash, aor);
	}
	if (!a) {
		a = spare;
		spare = NULL;
		shm_hash_insert_locked(d->hash, b, &a->node);
		shm_counter_add(d->c_users, 1);
		shm_counter_add(store.c_registered, 1);
	}
	cell_change(d, a, NULL, cell);
	shm_hash_unlock(b);
	shm_free(spare);
	shm_hash_grow(d->hash);
	return 0;
}

/* ---- removing ---- */

static int drop(struct ul_domain *d, struct str aor, ul_pick_fn *pick, void *arg, bool for_good, struct pool *pool, struct ul_list *ret_gone)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = aor_find(b, hash, aor), *empty = NULL;
	struct ul_cell *retired = NULL;
	unsigned n_retired = 0;
	int n = 0;

	if (!a) {
		shm_hash_unlock(b);
		return -ENOENT;
	}
	for (struct ul_cell *c = cell_first(a), *next; c; c = next) {
		next = cell_next(c);
		if (!pick(c, arg))
			continue;
		n++;
		n_retired += cell_remove(d, a, c, for_good, &retired);
	}
	empty = aor_drop_empty(d, b, a);
	shm_hash_unlock(b);
	if (ret_gone) {
		struct ul_contact *list = n_retired ? pool_alloc(pool, n_retired * sizeof(*list)) : NULL;
		unsigned i = 0;

		for (struct ul_cell *c = retired; c && list; c = cell_next(c)) {
			size_t size = cell_size(c);
			char *mem = pool_alloc(pool, size + UL_RUID_MAX + 8);

			if (!mem)
				break;
			memcpy(mem, c, size);
			cell_view((struct ul_cell *)(void *)mem, mem + size, &list[i++]);
		}
		*ret_gone = (struct ul_list){ .c = list, .n = i, .aor_hash = hash };
	}
	cells_free(retired);
	shm_free(empty);
	return n;
}

int ul_drop(struct ul_domain *d, struct str aor, ul_pick_fn *pick, void *arg, struct pool *pool, struct ul_list *ret_gone)
{
	return drop(d, aor, pick, arg, true, pool, ret_gone);
}

static bool pick_ruid(const struct ul_cell *c, void *arg)
{
	const struct str *ruid = arg;

	return atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED && (ruid->n == 0 || cell_has_ruid(c, *ruid));
}

int ul_remove(struct ul_domain *d, struct str aor, struct str ruid)
{
	int n = drop(d, aor, pick_ruid, &ruid, false, NULL, NULL);

	return n == 0 ? -ENOENT : n;
}

int ul_touch(struct ul_domain *d, struct str aor, struct str ruid, uint32_t roundtrip_us)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = aor_find(b, hash, aor);
	int err = -ENOENT;

	for (struct ul_cell *c = a ? cell_first(a) : NULL; c; c = cell_next(c)) {
		if (!cell_has_ruid(c, ruid))
			continue;
		atomic_store_explicit(&c->last_keepalive, (uint32_t)clock_wall_s(), memory_order_relaxed);
		atomic_store_explicit(&c->ka_roundtrip_us, roundtrip_us, memory_order_relaxed);
		err = 0;
	}
	shm_hash_unlock(b);
	return err;
}

int ul_synced(struct ul_domain *d, struct str aor, struct str ruid, uint32_t version)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = aor_find(b, hash, aor), *empty = NULL;
	struct ul_cell *retired = NULL;
	int err = -ENOENT;

	for (struct ul_cell *c = a ? cell_first(a) : NULL, *next; c; c = next) {
		next = cell_next(c);
		if (!cell_has_ruid(c, ruid))
			continue;
		err = 0;
		if (atomic_load_explicit(&c->state, memory_order_relaxed) == UL_DELETED) {
			if (version == UINT32_MAX)
				cell_remove(d, a, c, true, &retired);
		} else if (c->version == version) {
			atomic_store_explicit(&c->state, UL_SYNC, memory_order_relaxed);
		}
	}
	if (a) {
		aor_recount(a);
		empty = aor_drop_empty(d, b, a);
	}
	shm_hash_unlock(b);
	cells_free(retired);
	shm_free(empty);
	return err;
}

/* ---- walking ---- */

struct names {
	bool all, dirty_too, conns_too;
	uint32_t now;
	size_t bytes;
	unsigned n, max;
};

static bool aor_has_conn(const struct ul_aor *a)
{
	for (const struct ul_cell *c = cell_first(a); c; c = cell_next(c))
		if (c->conn_id)
			return true;
	return false;
}

/* Names go to scratch, each behind its length. */
static int names_add(struct shm_hnode *node, void *arg)
{
	struct ul_aor *a = CONTAINER_OF(node, struct ul_aor, node);
	struct names *w = arg;
	struct str text = aor_text(a);
	uint16_t n = (uint16_t)text.n;

	if (!w->all && atomic_load_explicit(&a->due, memory_order_relaxed) > w->now &&
	    !(w->dirty_too && atomic_load_explicit(&a->dirty, memory_order_relaxed)) && !(w->conns_too && aor_has_conn(a)))
		return 0;
	if (w->n == w->max || w->bytes + sizeof(n) + n > store.scratch_cap)
		return 1;
	memcpy(store.scratch + w->bytes, &n, sizeof(n));
	memcpy(store.scratch + w->bytes + sizeof(n), text.s, n);
	w->bytes += sizeof(n) + n;
	w->n++;
	return 0;
}

static unsigned names_of(struct ul_domain *d, uint32_t bucket, struct names *w, struct pool *pool, struct str *ret_aors)
{
	size_t off = 0;
	char *mem;

	if (!store.scratch && scratch_grow(SCRATCH_FIRST) < 0)
		return 0;
	shm_hash_walk(d->hash, bucket, names_add, w);
	if (w->n == 0)
		return 0;
	mem = pool_alloc(pool, w->bytes);
	if (!mem)
		return 0;
	memcpy(mem, store.scratch, w->bytes);
	for (unsigned i = 0; i < w->n; i++) {
		uint16_t n;

		memcpy(&n, mem + off, sizeof(n));
		ret_aors[i] = str_of(mem + off + sizeof(n), n);
		off += sizeof(n) + n;
	}
	return w->n;
}

unsigned ul_bucket_due(struct ul_domain *d, uint32_t bucket, uint32_t now, bool dirty_too, bool conns_too, struct pool *pool, struct str *ret_aors, unsigned max)
{
	struct names w = { .now = now, .dirty_too = dirty_too, .conns_too = conns_too, .max = max };

	return names_of(d, bucket, &w, pool, ret_aors);
}

static int walk(struct ul_domain *d, uint32_t bucket, enum copy_what what, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	enum { MAX = 512 };
	struct names w = { .all = true, .max = MAX };
	struct str *aors = pool_alloc(pool, MAX * sizeof(*aors));
	unsigned n = aors ? names_of(d, bucket, &w, pool, aors) : 0;

	for (unsigned i = 0; i < n; i++) {
		struct ul_list list;

		if (get(d, aors[i], what, pool, &list) < 0)
			continue;
		for (unsigned j = 0; j < list.n; j++) {
			int err = fn(d, aors[i], &list.c[j], arg);

			if (err)
				return err;
		}
	}
	return 0;
}

int ul_walk(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	return walk(d, bucket, COPY_VALID, pool, fn, arg);
}

int ul_walk_all(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	return walk(d, bucket, COPY_ALL, pool, fn, arg);
}

/* ---- check ---- */

static int aor_check(struct shm_hnode *node, void *arg)
{
	const struct ul_aor *a = CONTAINER_OF(node, const struct ul_aor, node);
	uint32_t n = 0, due = UINT32_MAX;
	int q = INT16_MAX;

	(void)arg;
	if (!shm_is_live(a))
		return -EUCLEAN;
	for (const struct ul_cell *c = cell_first(a); c; c = cell_next(c)) {
		if (!shm_is_live(c) || shm_size_of(c) < cell_size(c) || ++n > a->n)
			return -EUCLEAN;
		if (!ul_conf.desc_time_order && c->q > q)
			return -EUCLEAN;
		q = c->q;
		if (c->expires && c->expires < due)
			due = c->expires;
	}
	return n == a->n && (n == 0 || atomic_load_explicit(&a->due, memory_order_relaxed) <= due) ? 0 : -EUCLEAN;
}

int ul_check(void)
{
	for (unsigned i = 0; i < store.n_domains; i++) {
		struct ul_domain *d = &store.domain[i];

		for (uint32_t k = 0; k < shm_hash_n_buckets(d->hash); k++)
			if (shm_hash_walk(d->hash, k, aor_check, NULL) != 0)
				return -EUCLEAN;
	}
	return 0;
}
