/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One contact in shared memory: how it is filled, seen and matched, its record unique id (ruid), and the interned User-Agent
 * texts. Those repeat, so there is one of each; that table only grows, up to a limit, which makes it trivially crash-safe.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/num.h"
#include "core/pv/pv.h"
#include "modules/usrloc/ul_store.h"

#define UA_MAX 255u

static struct {
	struct shm_hash *names;
	/* of this process */
	pid_t ruid_pid;
	uint32_t ruid_time, ruid_count;
} cells;

/* ---- record unique ids ---- */

static char *hex_put(uint32_t v, char *out)
{
	return num_hex(v, v ? (35u - (unsigned)__builtin_clz(v)) / 4 : 1, out);
}

static size_t cell_text_len(const struct ul_cell *c)
{
	return (size_t)c->n_uri + c->n_callid + c->n_received + c->n_path + c->n_instance + c->n_user_agent + c->n_xavps +
	       c->n_ruid + c->n_socket;
}

size_t ul_cell_size(const struct ul_cell *c)
{
	return sizeof(*c) + cell_text_len(c);
}

size_t ul_ruid_text(const struct ul_cell *c, char out[UL_RUID_MAX])
{
	char *p = out;

	if (c->ruid_kind == UL_RUID_TEXT) {
		size_t off = cell_text_len(c) - c->n_socket - c->n_ruid;

		memcpy(out, c->text + off, c->n_ruid);
		return c->n_ruid;
	}
	memcpy(p, c->ruid_kind == UL_RUID_ULOC ? "uloc-" : "ulcx-", 5);
	p += 5;
	if (c->ruid_server) {
		p = hex_put(c->ruid_server, p);
		*p++ = '-';
	}
	p = hex_put(c->ruid_time, p);
	*p++ = '-';
	p = hex_put(c->ruid_pid, p);
	*p++ = '-';
	return (size_t)(hex_put(c->ruid_count, p) - out);
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
	if (n < 3)
		return false;
	t.ruid_server = n == 4 ? (uint32_t)v[0] : 0;
	t.ruid_time = (uint32_t)v[n - 3];
	t.ruid_pid = (uint32_t)v[n - 2];
	t.ruid_count = (uint32_t)v[n - 1];
	/* only what prints back to the same bytes may be kept as numbers */
	if (!str_eq(str_of(back, ul_ruid_text(&t, back)), text))
		return false;
	c->ruid_kind = t.ruid_kind;
	c->ruid_server = t.ruid_server;
	c->ruid_time = t.ruid_time;
	c->ruid_pid = t.ruid_pid;
	c->ruid_count = t.ruid_count;
	return true;
}

/* In every child: its ruids are its own. Asking for the pid each time would be a system call per contact. */
static void ruid_forget(void)
{
	cells.ruid_pid = 0;
}

int ul_cells_init(void)
{
	int err = pthread_atfork(NULL, NULL, ruid_forget);

	return err ? -err : shm_hash_new(64, &cells.names);
}

void ul_ruid_make(struct ul_cell *c, enum ul_ruid_kind kind)
{
	if (UNLIKELY(!cells.ruid_pid)) {
		cells.ruid_pid = getpid();
		cells.ruid_time = (uint32_t)clock_wall_s();
		cells.ruid_count = 0;
	}
	c->ruid_kind = (uint8_t)kind;
	c->ruid_server = (uint32_t)pv_conf.server_id;
	c->ruid_time = cells.ruid_time;
	c->ruid_pid = (uint32_t)cells.ruid_pid;
	c->ruid_count = ++cells.ruid_count;
}

int ul_ruid_new(struct pool *pool, struct ul_contact *c)
{
	struct ul_cell cell = { 0 };
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
		struct shm_hbucket *b = shm_hash_lock(cells.names, hash);
		struct shm_hnode *node = shm_hash_find_locked(b, hash, name_eq, &s);

		if (!node && spare) {
			shm_hash_insert_locked(cells.names, b, &spare->node);
			shm_hash_unlock(b);
			shm_hash_grow(cells.names);
			return shm_ref_of(spare);
		}
		shm_hash_unlock(b);
		if (node) {
			ref = shm_ref_of(node);
			break;
		}
		if (shm_hash_count(cells.names) >= UL_NAMES_MAX)
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

bool ul_cell_fits(const struct ul_contact *c)
{
	return c->uri.n <= UINT16_MAX && c->callid.n <= UINT16_MAX && c->received.n <= UINT16_MAX && c->path.n <= UINT16_MAX &&
	       c->instance.n <= UINT16_MAX && c->xavps.n <= UINT16_MAX && c->ruid.n < UL_RUID_MAX && c->socket.n <= UINT16_MAX;
}

struct ul_cell *ul_cell_new(const struct ul_contact *c)
{
	struct str ua = str_sub(c->user_agent, 0, UA_MAX);
	shm_ref ua_ref = ua.n ? name_intern(ua) : SHM_NONE;
	struct ul_cell head = { .expires = (uint32_t)c->expires, .modified = (uint32_t)(c->modified ? c->modified : clock_wall_s()),
				.cseq = c->cseq, .flags = c->flags, .cflags = c->cflags, .methods = c->methods, .conn_id = c->conn_id,
				.reg_id = c->reg_id, .user_agent = ua_ref, .q = c->q, .listener = c->listener, .server_id = c->server_id };
	struct ul_cell *cell;
	char *at;

	if (!ul_cell_fits(c))
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
	atomic_init(&head.last_keepalive, c->last_keepalive ? (uint32_t)c->last_keepalive : (uint32_t)clock_wall_s());

	cell = shm_alloc(ul_cell_size(&head));
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
void ul_cell_view(const struct ul_cell *cell, char *ruid_mem, struct ul_contact *c)
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

struct str ul_cell_callid(const struct ul_cell *c)
{
	return str_of(c->text + c->n_uri, c->n_callid);
}

bool ul_cell_valid(const struct ul_cell *c, uint32_t now)
{
	return atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED && (c->expires == 0 || c->expires > now);
}

bool ul_cell_has_ruid(const struct ul_cell *c, struct str ruid)
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
		return str_eq(have->uri, c->uri) && (c->path.n == 0 || str_eq(have->path, c->path));
	case 3:
		return str_eq(have->callid, c->callid);
	default:
		return str_eq(have->uri, c->uri);
	}
}

bool ul_cell_matches(const struct ul_cell *cell, const struct ul_contact *c, int mode, bool match_received)
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
