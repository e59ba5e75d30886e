/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of a database, which somebody else may have filled: any type in any column, any length, any number of columns. The first
 * byte says who asks: usrloc at start (db_load), usrloc per AoR (db_mode 3), htable at start, auth_db for a password, the check of
 * table versions. What is taken keeps every invariant of shared memory and comes out again through the module's own interface.
 */
#include <errno.h>
#include <math.h>

#include "core/base/clock.h"
#include "core/db/db.h"
#include "modules/auth/auth_priv.h"
#include "modules/htable/htable_priv.h"
#include "modules/usrloc/ul_db.h"
#include "modules/usrloc/ul_store.h"
#include "shm/recover.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_mods.h"

extern const struct module module_usrloc, module_htable, module_auth, module_auth_db;

#define URL "fuzz://rows"
#define COLS_MAX 24u
#define ROWS_MAX 16u

static struct fuzz_in in;
static unsigned n_queries; /* of this input */
static struct loop *loop;
static struct ul_domain *domain;

/* ---- the driver: every query is answered from the input ---- */

static struct db_val cell(void)
{
	uint8_t kind = fuzz_u8(&in);
	struct db_val v = { .type = (enum db_type)(kind % 6) };

	switch (v.type) {
	case DB_NULL:
		break;
	case DB_INT:
	case DB_TIME:
		v.i = kind & 0x80 ? fuzz_i64(&in) : kind & 0x40 ? 1800000000 + fuzz_u8(&in) * 100 : fuzz_u8(&in);
		break;
	case DB_DOUBLE:
		if (kind & 0x80) {
			int64_t bits = fuzz_i64(&in);

			memcpy(&v.d, &bits, sizeof(v.d));
		} else {
			v.d = fuzz_u8(&in) / 100.0;
		}
		break;
	case DB_STR:
	case DB_BLOB:
		v.s = fuzz_bytes(&in, kind & 0x80 ? (size_t)fuzz_u8(&in) * 64 : fuzz_u8(&in));
		break;
	}
	return v;
}

static struct db_rows *rows(void)
{
	uint8_t shape = fuzz_u8(&in);
	unsigned n_cols = shape & 0x80 ? fuzz_u8(&in) % COLS_MAX : UL_N_COLS + 1, n = shape % ROWS_MAX;
	struct db_rows *r = db_rows_new(n_cols);
	struct db_val vals[COLS_MAX];

	fuzz_require(r != NULL);
	if (n_queries++ > 8)
		n = 0;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned c = 0; c < n_cols; c++)
			vals[c] = cell();
		fuzz_require(db_rows_add(r, vals) == 0);
	}
	return r;
}

static int probe(struct str url, struct diag *reterr)
{
	(void)url, (void)reterr;
	return 0;
}

static int driver_open(struct loop *l, struct str url, void **ret_conn, struct diag *reterr)
{
	(void)l, (void)url, (void)reterr;
	*ret_conn = &in;
	return 0;
}

static void driver_close(void *conn)
{
	(void)conn;
}

static struct {
	void (*done)(void *arg, int err, struct db_rows *rows, struct str err_text);
	void *arg;
	bool waits;
} query;

static void answer(void *arg)
{
	(void)arg;
	query.waits = false;
	if (fuzz_u8(&in) == 0xee)
		query.done(query.arg, -EIO, NULL, STR_LIT("no"));
	else
		query.done(query.arg, 0, rows(), STR_NULL);
}

static int driver_query(void *conn, struct str sql, const struct db_val *params, unsigned n_params, uint64_t deadline_us,
			void (*done)(void *arg, int err, struct db_rows *rows, struct str err_text), void *arg)
{
	unsigned marks = 0;

	(void)conn, (void)params, (void)deadline_us;
	for (size_t i = 0; i < sql.n; i++)
		marks += sql.s[i] == '?';
	fuzz_require(marks == n_params && !query.waits);
	query.done = done;
	query.arg = arg;
	query.waits = true;
	return loop_defer(loop, answer, NULL);
}

static int driver_query_sync(struct str url, struct str sql, const struct db_val *params, unsigned n_params, struct db_rows **ret_rows,
			     struct diag *reterr)
{
	(void)url, (void)sql, (void)params, (void)n_params;
	if (fuzz_u8(&in) == 0xee)
		return diag_err(reterr, -EIO, 0, "no");
	*ret_rows = rows();
	return 0;
}

static const struct db_driver driver = { .scheme = "fuzz", .probe = probe, .open = driver_open, .close = driver_close, .query = driver_query,
					 .query_sync = driver_query_sync };

/* ---- usrloc ---- */

static int check_contact(struct ul_domain *d, struct str aor, const struct ul_contact *c, void *arg)
{
	unsigned *sum = arg;

	(void)d;
	fuzz_require(aor.n > 0 && c->uri.n > 0 && c->ruid.n > 0 && c->ruid.n < UL_RUID_MAX);
	fuzz_require(c->q >= -1 && c->q <= 1000);
	for (size_t i = 0; i < c->uri.n; i++)
		*sum += (unsigned char)c->uri.s[i];
	for (size_t i = 0; i < c->path.n; i++)
		*sum += (unsigned char)c->path.s[i];
	return 0;
}

struct aors {
	struct str text[256];
	unsigned n;
};

static int note_aor(struct ul_domain *d, struct str aor, const struct ul_contact *c, void *arg)
{
	struct aors *a = arg;

	(void)d, (void)c;
	if (a->n < ARRAY_LEN(a->text))
		a->text[a->n++] = aor;
	return 0;
}

static bool any_cell(const struct ul_cell *cell, void *arg)
{
	(void)cell, (void)arg;
	return true;
}

/* Away with them, for the next input. */
static void drop_contacts(struct pool *pool)
{
	for (uint32_t i = 0; i < shm_hash_n_buckets(domain->hash); i++) {
		struct aors a = { .n = 0 };

		pool_reset(pool);
		ul_walk_all(domain, i, pool, note_aor, &a);
		for (unsigned k = 0; k < a.n; k++) {
			struct ul_list gone = { 0 };

			ul_drop(domain, a.text[k], any_cell, NULL, pool, &gone);
		}
	}
	fuzz_require(shm_hash_count(domain->hash) == 0);
}

static void load_contacts(void)
{
	struct pool *pool = pool_new(4 << 20);
	struct db_rows *r = rows();
	unsigned sum = 0;

	fuzz_require(pool != NULL);
	for (unsigned i = 0; i < db_rows_n(r); i++) {
		struct db_val v[UL_N_COLS];

		ul_row_take(r, i, v);
		fuzz_require(ul_row_load(domain, v) <= 1);
	}
	db_rows_free(r);
	for (uint32_t i = 0; i < shm_hash_n_buckets(domain->hash); i++) {
		pool_reset(pool);
		ul_walk_all(domain, i, pool, check_contact, &sum);
	}
	fuzz_require(ul_check() == 0);
	drop_contacts(pool);
	fuzz_require(ul_check() == 0);
	pool_free(pool);
}

static void on_list(void *arg, int err, const struct ul_list *list)
{
	unsigned sum = 0;

	*(bool *)arg = true;
	fuzz_require(err <= 0 && (err == 0 || list->n == 0));
	for (unsigned i = 0; i < list->n; i++)
		for (size_t k = 0; k < list->c[i].uri.n; k++)
			sum += (unsigned char)list->c[i].uri.s[k];
	fuzz_require(sum < UINT32_MAX);
}

static void fetch_contacts(void)
{
	bool called = false;

	ul_fetch(domain, STR_LIT("alice"), UL_VALID, 1000, on_list, &called);
	for (unsigned i = 0; i < 8 && !called; i++)
		fuzz_turn(loop);
	fuzz_require(called);
}

/* ---- htable ---- */

static void load_table(struct str name)
{
	struct ht_table *t = ht_table_find(name);
	struct ht_snap snap = { 0 };
	struct diag d = { 0 };
	struct ht_row row;
	struct value v;

	fuzz_require(t != NULL);
	if (ht_db_load(t, &d) < 0)
		fuzz_require(d.text[0] != '\0' || n_queries > 0);
	fuzz_require(ht_check() == 0);
	for (uint32_t i = 0; i < shm_hash_n_buckets(t->hash); i++) {
		size_t pos = 0;

		fuzz_require(ht_snap_bucket(t, i, HT_ALL, clock_wall_s(), &snap) == 0);
		while (ht_snap_next(&snap, &pos, &row))
			fuzz_require(row.key.n <= HT_KEY_MAX && ht_get(t, row.key, clock_wall_s(), &v) >= 0);
	}
	ht_snap_done(&snap);
	for (uint32_t i = 0; i < shm_hash_n_buckets(t->hash); i++)
		ht_reset_bucket(t, i);
}

/* ---- auth_db ---- */

static struct ctx *asking;
static int asked_rc;

static void asked(struct ctx *ctx, int rc)
{
	(void)ctx;
	asked_rc = rc;
	asking = NULL;
}

static void ask_password(void)
{
	static const char head[] = "REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx\r\nFrom: <sip:alice@r>;tag=1\r\n"
				   "To: <sip:alice@r>\r\nCall-ID: c1\r\nCSeq: 7 REGISTER\r\nContent-Length: 0\r\n";
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	union script_arg args[3] = { { .s = STR_LIT("r") }, { .s = STR_LIT("subscriber") } };
	struct ctx *dummy = ctx_new(), *ctx;
	char text[1024], nonce[AUTH_NONCE_MAX];
	int n, rc = 0;
	size_t len;

	fuzz_require(dummy != NULL && net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0);
	dummy->rx = rx;
	len = auth_nonce_make(dummy, STR_LIT("r"), nonce);
	ctx_free(dummy);
	n = snprintf(text, sizeof(text), "%sAuthorization: Digest username=\"alice\", realm=\"r\", nonce=\"%.*s\", uri=\"sip:r\", response=\"%032d\"\r\n\r\n",
		     head, (int)len, nonce, 5);
	ctx = ctx_from_bytes(str_of(text, (size_t)n), &rx);
	fuzz_require(ctx != NULL);
	ctx->kind = CTX_REQUEST;
	ctx->resume = asked;
	for (const struct script_func *f = module_auth_db.funcs; f->name; f++)
		if (strcmp(f->name, "www_authenticate") == 0 && f->n_params == 2)
			rc = f->fn(ctx, args, 2);
	if (rc == SCRIPT_SUSPEND) {
		asking = ctx;
		for (unsigned i = 0; i < 8 && asking; i++)
			fuzz_turn(loop);
		fuzz_require(!asking);
		rc = asked_rc;
	}
	fuzz_require(rc <= 0); /* whatever the row holds, nobody has the response 00...5 */
	ctx_free(ctx);
}

static void set(const struct module *m)
{
	if (m == &module_usrloc) {
		fuzz_set(m, "db_url", 0, URL);
		fuzz_require(ul_domain_get(STR_LIT("location"), &domain, NULL) == 0);
	}
	if (m == &module_htable) {
		fuzz_set(m, "db_url", 0, URL);
		fuzz_set(m, "htable", 0, "std=>size=4;dbtable=t");
		fuzz_set(m, "htable", 0, "two=>size=4;autoexpire=10;cols='k,v';dbtable=t");
		fuzz_set(m, "htable", 0, "many=>size=4;cols='k,a,b,c';dbtable=t");
	}
	if (m == &module_auth)
		fuzz_set(m, "secret", 0, "0123456789abcdef0123456789abcdef");
	if (m == &module_auth_db) {
		fuzz_set(m, "db_url", 0, URL);
		fuzz_set(m, "version_table", 0, NULL);
		fuzz_set(m, "load_credentials", 0, "a;b");
		fuzz_set(m, "cache_expire", 60, NULL);
	}
}

static void once(void)
{
	static const struct module *const modules[] = { &module_usrloc, &module_htable, &module_auth, &module_auth_db };

	if (loop)
		return;
	fuzz_require(db_driver_register(&driver) == 0);
	loop = fuzz_modules_start(modules, 4, set);
	ul_conf.db_url = STR_LIT(URL);
	ul_conf.fetch_rows = 5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag d = { 0 };
	uint8_t who;

	once();
	in = (struct fuzz_in){ data, size };
	n_queries = 0;
	who = fuzz_u8(&in);
	switch (who % 6) {
	case 0:
		load_contacts();
		break;
	case 1:
		fetch_contacts();
		break;
	case 2:
		load_table(who & 8 ? STR_LIT("std") : who & 16 ? STR_LIT("two") : STR_LIT("many"));
		break;
	case 3:
		ask_password();
		break;
	case 4:
		fuzz_require(db_table_version_check(STR_LIT(URL), STR_LIT("t"), 7, &d) <= 0);
		break;
	default:
		load_table(STR_LIT("std"));
		break;
	}
	fuzz_require(ctx_in_use() == 0);
	return 0;
}
