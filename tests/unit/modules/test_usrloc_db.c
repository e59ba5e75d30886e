/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/usrloc and a real SQLite file: write-through, write-behind, loading, database only, a database that is locked. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/db/drv_sqlite.h"
#include "core/net/listener.h"
#include "core/pv/pv.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

struct ul_conf ul_conf;
static struct ul_domain *dom;
static struct pool *pool;
static struct loop *loop;
static char path[64], url[96];
static sqlite3 *other; /* somebody else's connection */

static const char schema[] =
	"CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);"
	"INSERT INTO version VALUES ('location', 9);"
	"CREATE TABLE location (id INTEGER PRIMARY KEY NOT NULL, ruid VARCHAR(64) DEFAULT '' NOT NULL, username VARCHAR(64) DEFAULT '' NOT NULL,"
	"domain VARCHAR(64) DEFAULT NULL, contact VARCHAR(512) DEFAULT '' NOT NULL, received VARCHAR(128) DEFAULT NULL, path VARCHAR(512) DEFAULT NULL,"
	"expires TIMESTAMP WITHOUT TIME ZONE DEFAULT '2030-05-28 21:32:15' NOT NULL, q REAL DEFAULT 1.0 NOT NULL,"
	"callid VARCHAR(255) DEFAULT 'Default-Call-ID' NOT NULL, cseq INTEGER DEFAULT 1 NOT NULL,"
	"last_modified TIMESTAMP WITHOUT TIME ZONE DEFAULT '2000-01-01 00:00:01' NOT NULL, flags INTEGER DEFAULT 0 NOT NULL,"
	"cflags INTEGER DEFAULT 0 NOT NULL, user_agent VARCHAR(255) DEFAULT '' NOT NULL, socket VARCHAR(64) DEFAULT NULL, methods INTEGER DEFAULT NULL,"
	"instance VARCHAR(255) DEFAULT NULL, reg_id INTEGER DEFAULT 0 NOT NULL, server_id INTEGER DEFAULT 0 NOT NULL,"
	"connection_id INTEGER DEFAULT 0 NOT NULL, keepalive INTEGER DEFAULT 0 NOT NULL, partition INTEGER DEFAULT 0 NOT NULL,"
	"CONSTRAINT location_ruid_idx UNIQUE (ruid));";

static void sql(const char *text)
{
	char *msg = NULL;

	ck_assert_msg(sqlite3_exec(other, text, NULL, NULL, &msg) == SQLITE_OK, "%s", msg ? msg : "?");
}

static int64_t sql_number(const char *text)
{
	sqlite3_stmt *st;
	int64_t n;

	ck_assert_int_eq(sqlite3_prepare_v2(other, text, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void setup(void)
{
	static const char *const columns[UL_N_COLS] = { "ruid", "username", "domain", "contact", "received", "path", "expires", "q", "callid",
		"cseq", "last_modified", "flags", "cflags", "user_agent", "socket", "methods", "instance", "reg_id", "server_id",
		"connection_id", "keepalive", "partition" };
	struct shm_opts opts = { .ceiling_bytes = (uint64_t)128 << 20 };

	ul_conf = (struct ul_conf){ .timer_interval = 60, .cseq_delay = 20, .hash_size = 6, .nat_bflag = -1, .db_queue_max = 64,
				    .db_deadline_ms = 2000, .fetch_rows = 7, .use_domain = 1, .db_load = 1, .db_ops_ruid = 1, .version_table = 1 };
	for (unsigned i = 0; i < UL_N_COLS; i++)
		ul_conf.column[i] = str_lit(columns[i]);
	memcpy(path, "/tmp/ringfort-test-ul-XXXXXX", 29);
	close(mkstemp(path));
	snprintf(url, sizeof(url), "sqlite://%s", path);
	ul_conf.db_url = str_lit(url);
	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	sqlite3_busy_timeout(other, 5000);
	sql(schema);
	clock_update();
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(ul_domain_get(STR_LIT("location"), &dom, NULL), 0);
	ck_assert_int_eq(ul_store_init(), 0);
	ck_assert_int_eq(db_driver_register(&db_driver_sqlite), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	pool = pool_new(64u << 20);
}

static void teardown(void)
{
	char side[96];

	db_close_all();
	loop_free(loop);
	sqlite3_close(other);
	pool_free(pool);
	shm_slot_release();
	shm_arena_destroy();
	unlink(path);
	snprintf(side, sizeof(side), "%s-wal", path);
	unlink(side);
	snprintf(side, sizeof(side), "%s-shm", path);
	unlink(side);
}

static int done_err;
static unsigned n_done;

static void on_done(void *arg, int err)
{
	done_err = err;
	n_done++;
	loop_stop(arg);
}

static void give_up(void *arg)
{
	loop_stop(arg);
}

static void run(unsigned max_ms)
{
	struct loop_timer *t;

	ck_assert_int_eq(loop_timer_add(loop, max_ms, 0, give_up, loop, &t), 0);
	loop_run(loop);
	loop_timer_del(t);
}

static void load_all(void)
{
	ck_assert_int_eq(ul_load_start(loop), 0);
	for (unsigned i = 0; i < 500 && ul_loading(dom); i++)
		run(10);
	ck_assert(!ul_loading(dom));
}

static int sync_aor(const char *aor, unsigned deadline_ms)
{
	n_done = 0;
	ul_sync(dom, str_lit(aor), deadline_ms, on_done, loop);
	ck_assert_uint_eq(n_done, 0); /* never from within */
	run(10000);
	ck_assert_uint_eq(n_done, 1);
	return done_err;
}

static struct ul_change change(const char *uri, const char *callid, uint32_t cseq, int64_t expires)
{
	struct ul_change ch = { .c = { .uri = str_lit(uri), .callid = str_lit(callid), .cseq = cseq, .user_agent = STR_LIT("it's; \"me\""),
				       .q = 300, .listener = NET_LISTENER_NONE, .methods = UL_METHODS_ALL, .received = STR_LIT("sip:1.2.3.4:5"),
				       .path = STR_LIT("<sip:p;lr>"), .instance = STR_NULL, .cflags = 64 } };

	ch.remove = expires == 0;
	ch.c.expires = expires ? clock_wall_s() + expires : 0;
	return ch;
}

static struct ul_save save(const char *aor, const char *uri, uint32_t cseq, int64_t expires)
{
	struct ul_change ch = change(uri, uri, cseq, expires);
	struct ul_save s = { .changes = &ch, .n_changes = 1, .matching_mode = -1, .pool = pool };

	ck_assert_int_eq(ul_save(dom, str_lit(aor), &s), 0);
	s.changes = NULL;
	return s;
}

START_TEST(write_through)
{
	struct ul_list list;

	ul_conf.db_mode = 1;
	ck_assert_int_eq(ul_db_init(), 0);
	load_all();
	ck_assert(save("a@x.org", "sip:a@1.1.1.1", 1, 3600).ret_wants_db);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE username='a' AND domain='x.org' AND contact='sip:a@1.1.1.1' AND "
				    "received='sip:1.2.3.4:5' AND path='<sip:p;lr>' AND q=0.3 AND cflags=64 AND methods IS NULL AND "
				    "user_agent='it''s; \"me\"' AND expires > julianday('now') AND expires < julianday('now', '+2 hours')"), 1);
	ck_assert_int_eq(ul_get(dom, STR_LIT("a@x.org"), pool, &list), 0);
	ck_assert_int_eq(list.c[0].state, UL_SYNC);
	/* nothing to write: done all the same */
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	/* refreshed: the same row */
	save("a@x.org", "sip:a@1.1.1.1", 2, 7200);
	ck_assert_int_eq(ul_get(dom, STR_LIT("a@x.org"), pool, &list), 0);
	ck_assert_int_eq(list.c[0].state, UL_DIRTY);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=2"), 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 1);
	/* a row whose times somebody wrote as text, the table's own default, or as nonsense */
	sql("UPDATE location SET last_modified='2000-01-01 00:00:01'");
	save("a@x.org", "sip:a@1.1.1.1", 3, 7200);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=3"), 1);
	sql("UPDATE location SET last_modified='nonsense'");
	save("a@x.org", "sip:a@1.1.1.1", 4, 7200);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=4"), 1);
	/* removed: first from the database, then from memory; nobody sees it meanwhile */
	save("a@x.org", "sip:a@1.1.1.1", 5, 0);
	ck_assert_int_eq(ul_get(dom, STR_LIT("a@x.org"), pool, &list), -ENOENT);
	ck_assert_int_eq(ul_get_all(dom, STR_LIT("a@x.org"), pool, &list), 0);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(ul_get_all(dom, STR_LIT("a@x.org"), pool, &list), -ENOENT);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

/* db_ops_ruid 0 */
START_TEST(rows_of_other_servers)
{
	ul_conf.db_mode = 1;
	ul_conf.db_ops_ruid = _i;
	ck_assert_int_eq(ul_db_init(), 0);
	load_all();
	save("a@x.org", "sip:a@1.1.1.1", 1, 3600);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	sql("INSERT INTO location (ruid, username, domain, contact, callid, cseq, last_modified) VALUES"
	    "('older', 'a', 'x.org', 'sip:a@1.1.1.1', 'sip:a@1.1.1.1', 7, 2451545.0),"
	    "('newer', 'a', 'x.org', 'sip:a@1.1.1.1', 'sip:a@1.1.1.1', 7, julianday('now', '+1 hour')),"
	    "('callid', 'a', 'x.org', 'sip:a@1.1.1.1', 'another', 7, 2451545.0), ('domain', 'a', 'y.org', 'sip:a@1.1.1.1', 'sip:a@1.1.1.1', 7, 2451545.0)");
	save("a@x.org", "sip:a@1.1.1.1", 2, 7200);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=2 AND expires > julianday('now', '+1 hour')"), _i ? 1 : 2);
	ck_assert_int_eq(sql_number("SELECT cseq FROM location WHERE ruid='older'"), _i ? 7 : 2);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=7"), _i ? 4 : 3);
	save("a@x.org", "sip:a@1.1.1.1", 3, 0);
	ck_assert_int_eq(sync_aor("a@x.org", 2000), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE ruid='older'"), _i);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 3 + _i);
}
END_TEST

START_TEST(locked_database)
{
	struct ul_list list;

	ul_conf.db_mode = 1;
	ck_assert_int_eq(ul_db_init(), 0);
	load_all();
	sql("BEGIN EXCLUSIVE");
	save("b@x.org", "sip:b@1.1.1.1", 1, 3600);
	ck_assert_int_eq(sync_aor("b@x.org", 200), -ETIMEDOUT);
	ck_assert_int_eq(ul_get(dom, STR_LIT("b@x.org"), pool, &list), 0);
	ck_assert_int_eq(list.c[0].state, UL_DIRTY);
	sql("COMMIT");
	/* the sweep tries again */
	for (unsigned i = 0; i < 50 && sql_number("SELECT count(*) FROM location") == 0; i++) {
		ul_timer_slice(shm_hash_n_buckets(dom->hash));
		ul_db_flush_end();
		run(100);
	}
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 1);
}
END_TEST

START_TEST(write_behind)
{
	enum { N = 130 };
	char aor[32];
	int64_t unsynced;
	struct ul_list list;

	ul_conf.db_mode = 2;
	ck_assert_int_eq(ul_db_init(), 0);
	load_all();
	for (unsigned i = 0; i < N; i++) {
		snprintf(aor, sizeof(aor), "u%u@x.org", i);
		for (unsigned k = 1; k <= 3; k++) /* written once, not three times */
			save(aor, "sip:c@1.1.1.1", k, 3600);
	}
	for (unsigned i = 0; i < 50 && sql_number("SELECT count(*) FROM location WHERE cseq=3") < N; i++) {
		ul_timer_slice(shm_hash_n_buckets(dom->hash));
		ul_db_flush_end();
		run(50);
	}
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=3"), N);
	run(200);
	unsynced = 0;
	for (unsigned i = 0; i < N; i++) {
		snprintf(aor, sizeof(aor), "u%u@x.org", i);
		ck_assert_int_eq(ul_get(dom, str_lit(aor), pool, &list), 0);
		unsynced += list.c[0].state != UL_SYNC;
	}
	ck_assert_int_eq(unsynced, 0);
	/* a new one that goes before it was ever written leaves no trace; what the end finds unwritten is written */
	save("gone@x.org", "sip:g@h", 1, 3600);
	save("gone@x.org", "sip:g@h", 2, 0);
	ck_assert_int_eq(ul_get_all(dom, STR_LIT("gone@x.org"), pool, &list), -ENOENT);
	save("u0@x.org", "sip:c@1.1.1.1", 4, 0);
	save("u1@x.org", "sip:c@1.1.1.1", 4, 900);
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), N - 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE cseq=4"), 1);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

static bool pick_all(const struct ul_cell *c, void *arg)
{
	(void)c, (void)arg;
	return true;
}

START_TEST(survives_a_restart)
{
	enum { N = 20 }; /* more than two fetches */
	char aor[32];
	struct ul_list list, before;

	ul_conf.db_mode = 2;
	ck_assert_int_eq(ul_db_init(), 0);
	for (unsigned i = 0; i < N; i++) {
		snprintf(aor, sizeof(aor), "u%u@x.org", i);
		save(aor, "sip:c@1.1.1.1", 9, 3600);
	}
	ck_assert_int_eq(ul_get(dom, STR_LIT("u7@x.org"), pool, &before), 0);
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	sql("INSERT INTO location (ruid, username, domain, contact, expires) VALUES ('some text', 'x', 'y', 'sip:x@h', 2440587.5)");
	sql("INSERT INTO location (ruid, username, domain, contact, expires) VALUES ('textual', 'text', 'y', 'sip:x@h', '2099-12-31 23:59:58')");
	sql("INSERT INTO location (ruid, username, domain, contact, expires) VALUES ('gone', 'gone', 'y', 'sip:x@h', '2001-12-31 23:59:58')");
	sql("INSERT INTO location (ruid, username, domain, contact, expires) VALUES ('old', 'old', 'y', 'sip:x@h', julianday('now') - 1)");
	sql("INSERT INTO location (ruid, username, domain, contact, expires) VALUES ('', 'bad', 'y', 'sip:x@h', 2440587.5)");
	for (unsigned i = 0; i < N; i++) {
		snprintf(aor, sizeof(aor), "u%u@x.org", i);
		ul_drop(dom, str_lit(aor), pick_all, NULL, pool, NULL);
	}
	ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
	load_all();
	ck_assert_uint_eq(shm_hash_count(dom->hash), N + 2);
	ck_assert_int_eq(ul_get(dom, STR_LIT("text@y"), pool, &list), 0);
	ck_assert_int_eq(list.c[0].expires, 4102444798);
	ck_assert_int_eq(ul_get(dom, STR_LIT("u7@x.org"), pool, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert(str_eq(list.c[0].ruid, before.c[0].ruid));
	ck_assert(str_eq(list.c[0].callid, before.c[0].callid) && str_eq(list.c[0].path, before.c[0].path));
	ck_assert_int_eq(list.c[0].expires, before.c[0].expires);
	ck_assert_int_eq(list.c[0].q, 300);
	ck_assert_int_eq(list.c[0].state, UL_SYNC);
	ck_assert_int_eq(ul_get(dom, STR_LIT("x@y"), pool, &list), 0);
	ck_assert(str_eq(list.c[0].ruid, STR_LIT("some text")));
	ck_assert_int_eq(list.c[0].expires, 0);
	/* somebody else's id: a refresh makes a row of our own, and the old one goes */
	save("x@y", "sip:x@h", 5, 100);
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE username='x'"), 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE ruid='some text'"), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

static int bring(const char *aor)
{
	n_done = 0;
	ul_bring(dom, str_lit(aor), 2000, on_done, loop);
	run(5000);
	ck_assert_uint_eq(n_done, 1);
	return done_err;
}

static unsigned n_contacts(const char *aor)
{
	struct ul_list list = { 0 };

	return ul_get(dom, str_lit(aor), pool, &list) == 0 ? list.n : 0;
}

static void add_row(const char *user, const char *ruid)
{
	char text[512];

	snprintf(text, sizeof(text), "INSERT INTO location (ruid, username, domain, contact, callid, cseq, last_modified, expires) VALUES "
		 "('%s', '%s', 'x.org', 'sip:%s@h', 'sip:%s@h', 1, julianday('now') - 1, julianday('now') + 1)", ruid, user, user, user);
	sql(text);
}

/* What was done while the table is being loaded is newer than its rows, which the loader may have read before. */
START_TEST(changes_win_over_loading)
{
	struct ul_contact late = { .uri = STR_LIT("sip:u7@h"), .ruid = STR_LIT("uloc-8-1-1"), .listener = NET_LISTENER_NONE };
	static char long_path[70000];
	struct ul_list list;
	char name[32], ruid[32];

	ul_conf.db_mode = 2;
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		snprintf(ruid, sizeof(ruid), "uloc-%x-1-1", i + 1);
		add_row(name, ruid);
	}
	ck_assert_int_eq(ul_db_init(), 0);
	ck_assert(ul_loading(dom));
	ck_assert_uint_eq(n_contacts("u3@x.org"), 0);
	ck_assert_int_eq(bring("u3@x.org"), 0);
	ck_assert_int_eq(bring("u4@x.org"), 0);
	ck_assert_int_eq(bring("nobody@x.org"), 0);
	ck_assert_int_eq(bring("u3@x.org"), 0); /* again: nothing twice */
	ck_assert_uint_eq(n_contacts("u3@x.org"), 1);
	save("u3@x.org", "sip:u3@h", 9, 3600); /* refreshed */
	save("u4@x.org", "sip:u4@h", 9, 0);    /* removed */
	ck_assert_uint_eq(n_contacts("u4@x.org"), 0);
	ck_assert_int_eq(ul_db_flush_sync(), 0); /* the row is gone, the mark stays */
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE username='u4'"), 0);
	add_row("u4", "uloc-5-1-1"); /* as the loader could have read it before */
	load_all();
	ck_assert_int_eq(ul_get(dom, STR_LIT("u3@x.org"), pool, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert_uint_eq(list.c[0].cseq, 9);
	ck_assert(str_eq(list.c[0].ruid, STR_LIT("uloc-4-1-1")));
	ck_assert_uint_eq(n_contacts("u4@x.org"), 0);
	ck_assert_uint_eq(n_contacts("u29@x.org"), 1);
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE username='u4'"), 0);
	ck_assert_uint_eq(shm_hash_count(dom->hash), 29); /* the mark went */
	/* loading is over: a row that was asked for before is old */
	ul_remove(dom, STR_LIT("u7@x.org"), STR_NULL, NULL);
	ck_assert_int_eq(bring("u7@x.org"), 0);
	ck_assert_int_eq(ul_db_flush_sync(), 0); /* no mark is left to tell */
	ck_assert_int_eq(ul_load(dom, STR_LIT("u7@x.org"), &late), 0);
	/* what will never fit is not taken for a want of memory, which is waited for */
	late.path = str_of(long_path, sizeof(long_path));
	ck_assert_int_eq(ul_load(dom, STR_LIT("u7@x.org"), &late), -EMSGSIZE);
	ck_assert_uint_eq(n_contacts("u7@x.org"), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

/* The process that loads dies: the next one goes on where it was. Row 5 is not asked for again. */
START_TEST(loading_goes_on)
{
	char name[32], ruid[32];

	ul_conf.db_mode = 4;
	for (unsigned i = 1; i <= 30; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		snprintf(ruid, sizeof(ruid), "r%u", i);
		add_row(name, ruid);
	}
	ck_assert_int_eq(ul_db_init(), 0);
	atomic_store(&dom->progress->last_id, 10);
	ck_assert_int_eq(bring("u12@x.org"), 0);
	ck_assert_int_eq(ul_remove(dom, STR_LIT("u12@x.org"), STR_NULL, NULL), 1); /* never written in db_mode 4, and yet not back */
	load_all();
	ck_assert_uint_eq(n_contacts("u5@x.org"), 0);
	ck_assert_uint_eq(n_contacts("u11@x.org"), 1);
	ck_assert_uint_eq(n_contacts("u12@x.org"), 0);
	ck_assert_uint_eq(n_contacts("u30@x.org"), 1);
	for (unsigned i = 0; i < 200; i++)
		ul_timer_slice(1000);
	ck_assert_uint_eq(shm_hash_count(dom->hash), 19);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 30);
}
END_TEST

START_TEST(server_ids)
{
	struct ul_list list;

	ul_conf.db_mode = 2;
	ul_conf.server_id_filter = 1;
	pv_conf.server_id = 0x1f;
	add_row("mine", "uloc-1f-1-1-1");
	add_row("theirs", "uloc-2-1-1-1");
	sql("UPDATE location SET server_id = 31 WHERE username = 'mine'");
	sql("UPDATE location SET server_id = 2 WHERE username = 'theirs'");
	ck_assert_int_eq(ul_db_init(), 0);
	ck_assert_int_eq(bring("theirs@x.org"), 0);
	load_all();
	ck_assert_uint_eq(n_contacts("theirs@x.org"), 0);
	ck_assert_int_eq(ul_get(dom, STR_LIT("mine@x.org"), pool, &list), 0);
	ck_assert(str_eq(list.c[0].ruid, STR_LIT("uloc-1f-1-1-1")));
	ck_assert_uint_eq(list.c[0].server_id, 31);
	pv_conf.server_id = 0x20; /* the contact moves here and keeps its id */
	save("mine@x.org", "sip:mine@h", 9, 3600);
	save("new@x.org", "sip:new@h", 9, 3600);
	ck_assert_int_eq(ul_get(dom, STR_LIT("mine@x.org"), pool, &list), 0);
	ck_assert(str_eq(list.c[0].ruid, STR_LIT("uloc-1f-1-1-1")));
	ck_assert_uint_eq(list.c[0].server_id, 32);
	ck_assert_int_eq(ul_get(dom, STR_LIT("new@x.org"), pool, &list), 0);
	ck_assert(str_starts(list.c[0].ruid, STR_LIT("uloc-20-")));
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location WHERE server_id = 32"), 2);
	pv_conf.server_id = 0;
}
END_TEST

static struct ul_list fetched;
static int fetch_err;

static void on_list(void *arg, int err, const struct ul_list *list)
{
	fetch_err = err;
	fetched = *list;
	fetched.c = list->n ? pool_alloc(pool, list->n * sizeof(*list->c)) : NULL;
	for (unsigned i = 0; i < list->n; i++) {
		fetched.c[i] = list->c[i];
		fetched.c[i].uri = str_dup(pool, list->c[i].uri);
		fetched.c[i].ruid = str_dup(pool, list->c[i].ruid);
		fetched.c[i].callid = str_dup(pool, list->c[i].callid);
	}
	loop_stop(arg);
}

static char fetched_aor[64];

static void on_aor_list(void *arg, int err, struct str aor, const struct ul_list *list)
{
	snprintf(fetched_aor, sizeof(fetched_aor), "%.*s", STR_FMT(aor));
	on_list(arg, err, list);
}

/* A temporary GRUU names nothing else. */
START_TEST(found_by_ruid)
{
	ul_conf.db_mode = 3;
	ck_assert_int_eq(ul_db_init(), 0);
	add_row("a", "uloc-1-1-1");
	add_row("b", "uloc-1-1-2");
	ul_fetch_ruid(dom, STR_LIT("uloc-1-1-2"), UL_VALID, 2000, on_aor_list, loop);
	run(5000);
	ck_assert_int_eq(fetch_err, 0);
	ck_assert_uint_eq(fetched.n, 1);
	ck_assert_str_eq(fetched_aor, "b@x.org");
	ul_fetch_ruid(dom, STR_LIT("uloc-1-1-3"), UL_VALID, 2000, on_aor_list, loop);
	run(5000);
	ck_assert_int_eq(fetch_err, -ENOENT);
}
END_TEST

static unsigned fetch(const char *aor)
{
	fetch_err = -EINPROGRESS;
	ul_fetch(dom, str_lit(aor), UL_VALID, 2000, on_list, loop);
	run(5000);
	ck_assert_int_eq(fetch_err, 0);
	return fetched.n;
}

static int save_db(const char *aor, struct ul_change *ch, unsigned n, unsigned flags, unsigned max)
{
	struct ul_save s = { .changes = ch, .n_changes = n, .matching_mode = -1, .pool = pool, .flags = flags, .max_contacts = max };
	int err;

	fetch(aor);
	err = ul_plan_db(dom, str_lit(aor), &fetched, &s);
	if (err < 0)
		return err;
	n_done = 0;
	ul_save_db(dom, str_lit(aor), &s, 2000, on_done, loop);
	run(5000);
	ck_assert_uint_eq(n_done, 1);
	return done_err;
}

START_TEST(database_only_has_an_end)
{
	struct ul_contact full[UL_AOR_CONTACTS_MAX];
	struct ul_list list = { .c = full, .n = UL_AOR_CONTACTS_MAX };
	struct ul_change one = change("sip:more@h", "c", 1, 100);
	struct ul_save s = { .changes = &one, .n_changes = 1, .matching_mode = -1, .pool = pool };

	ul_conf.db_mode = 3;
	for (unsigned i = 0; i < UL_AOR_CONTACTS_MAX; i++)
		full[i] = (struct ul_contact){ .uri = STR_LIT("sip:some@h"), .callid = STR_LIT("x") };
	ck_assert_int_eq(ul_plan_db(dom, STR_LIT("m@x.org"), &list, &s), -E2BIG);
	list.n--;
	ck_assert_int_eq(ul_plan_db(dom, STR_LIT("m@x.org"), &list, &s), 0);
}
END_TEST

/* last_modified of the row is ahead of us (the clock was set back): what we write must take its place all the same. */
START_TEST(row_of_tomorrow)
{
	struct ul_change ch = change("sip:1@h", "c1", 7, 200);

	ul_conf.db_mode = _i;
	sql("INSERT INTO location (ruid, username, domain, contact, callid, expires, last_modified)"
	    " VALUES ('uloc-5f000000-1-1', 'm', 'x.org', 'sip:1@h', 'c1', julianday('now') + 0.1, julianday('now') + 1)");
	ck_assert_int_eq(ul_db_init(), 0);
	if (_i == 3) {
		ck_assert_int_eq(save_db("m@x.org", &ch, 1, 0, 0), 0);
	} else {
		struct ul_save s = { .changes = &ch, .n_changes = 1, .matching_mode = -1, .pool = pool };

		load_all();
		ck_assert_int_eq(ul_save(dom, STR_LIT("m@x.org"), &s), 0);
		ck_assert_int_eq(sync_aor("m@x.org", 2000), 0);
	}
	ck_assert_int_eq(ch.outcome, UL_O_UPDATED);
	ck_assert_int_eq(sql_number("SELECT cseq FROM location WHERE ruid = 'uloc-5f000000-1-1'"), 7);
}
END_TEST

/* use_domain, and an AoR that has none (tel:) */
START_TEST(database_only_without_domain)
{
	struct ul_change one = change("sip:1@h", "c1", 1, 100);

	ul_conf.db_mode = 3;
	ck_assert_int_eq(ul_db_init(), 0);
	ck_assert_int_eq(save_db("+491", &one, 1, 0, 0), 0);
	ck_assert_uint_eq(fetch("+491"), 1);
	ck_assert_uint_eq(fetch("+491@x.org"), 0);
	sql("UPDATE location SET domain = ''");
	ck_assert_uint_eq(fetch("+491"), 1);
	sql("UPDATE location SET contact = ''"); /* a row that leads nowhere */
	ck_assert_uint_eq(fetch("+491"), 0);
}
END_TEST

START_TEST(database_only)
{
	struct ul_change two[2] = { change("sip:1@h", "c1", 1, 100), change("sip:2@h", "c2", 1, 100) }, one;
	struct str ruid;

	ul_conf.db_mode = 3;
	ck_assert_int_eq(ul_db_init(), 0);
	ck_assert_int_eq(save_db("m@x.org", two, 2, 0, 1), -E2BIG);
	two[1].c.q = 900;
	ck_assert_int_eq(save_db("m@x.org", two, 2, 0, 2), 0);
	ck_assert_uint_eq(fetch("m@x.org"), 2);
	ck_assert(str_eq(fetched.c[0].uri, STR_LIT("sip:2@h")));
	ruid = fetched.c[1].ruid;
	one = change("sip:1@h", "c1", 1, 200);
	ck_assert_int_eq(save_db("m@x.org", &one, 1, 0, 2), 0);
	ck_assert_int_eq(one.outcome, UL_O_RETRANSMIT);
	one = change("sip:1@h", "c1", 2, 200);
	ck_assert_int_eq(save_db("m@x.org", &one, 1, 0, 2), 0);
	ck_assert_int_eq(one.outcome, UL_O_UPDATED);
	ck_assert_uint_eq(fetch("m@x.org"), 2);
	ck_assert(str_eq(fetched.c[1].ruid, ruid));
	one = change("sip:1@h", "c1", 1, 200);
	ck_assert_int_eq(save_db("m@x.org", &one, 1, 0, 2), -ESTALE);
	one = change("sip:3@h", "c3", 1, 200);
	ck_assert_int_eq(save_db("m@x.org", &one, 1, UL_SAVE_ONE, 1), 0);
	ck_assert_uint_eq(fetch("m@x.org"), 1);
	two[0] = change("sip:4@h", "c4", 2, 100); /* of several in one message the last stays */
	two[1] = change("sip:5@h", "c5", 2, 100);
	ck_assert_int_eq(save_db("m@x.org", two, 2, UL_SAVE_ONE, 1), 0);
	ck_assert_uint_eq(fetch("m@x.org"), 1);
	ck_assert(str_eq(fetched.c[0].uri, STR_LIT("sip:5@h")));
	one = change("sip:2@h", "c2", 9, 0); /* one that had to go */
	ck_assert_int_eq(save_db("m@x.org", &one, 1, UL_SAVE_ONE, 1), 0);
	ck_assert_uint_eq(fetch("m@x.org"), 1);
	ck_assert_uint_eq(fetch("m@other.org"), 0);
	ck_assert_int_eq(save_db("m@x.org", NULL, 0, UL_SAVE_REMOVE_ALL, 0), 0);
	ck_assert_uint_eq(fetch("m@x.org"), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM location"), 0);
}
END_TEST

START_TEST(refuses_what_is_wrong)
{
	ul_conf.db_mode = 1;
	sql("UPDATE version SET table_version = 8");
	ck_assert_int_eq(ul_db_init(), -EPROTO);
	ul_conf.version_table = 0;
	ck_assert_int_eq(ul_db_init(), 0);
	sql("DROP TABLE location");
	ck_assert_int_lt(ul_db_init(), 0);
	ul_conf.db_url = STR_LIT("nothing://x");
	ck_assert_int_lt(ul_db_init(), 0);
	ul_conf.db_url = STR_NULL;
	ck_assert_int_lt(ul_db_init(), 0);
}
END_TEST

START_TEST(counts)
{
	int64_t n;

	ul_conf.db_mode = 2;
	save("a@x.org", "sip:1@h", 1, 100);
	save("a@x.org", "sip:2@h", 1, 100);
	save("b@x.org", "sip:3@h", 1, 100);
	ck_assert_int_eq(ul_db_flush_sync(), 0);
	sql("INSERT INTO location (ruid, username, contact, expires) VALUES ('o', 'old', 'sip:x@h', julianday('now') - 1)");
	ck_assert_int_eq(ul_db_count(dom, 0, &n), 0);
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(ul_db_count(dom, 1, &n), 0);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(ul_db_count(dom, 2, &n), 0);
	ck_assert_int_eq(n, 1);
	ul_db_clean(dom);
	run(300);
	ck_assert_int_eq(ul_db_count(dom, 2, &n), 0);
	ck_assert_int_eq(n, 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("usrloc_db");
	TCase *tc = tcase_create("sqlite");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, write_through);
	tcase_add_loop_test(tc, rows_of_other_servers, 0, 2);
	tcase_add_test(tc, locked_database);
	tcase_add_test(tc, write_behind);
	tcase_add_test(tc, survives_a_restart);
	tcase_add_test(tc, changes_win_over_loading);
	tcase_add_test(tc, loading_goes_on);
	tcase_add_test(tc, server_ids);
	tcase_add_test(tc, found_by_ruid);
	tcase_add_test(tc, database_only);
	tcase_add_test(tc, database_only_without_domain);
	tcase_add_loop_test(tc, row_of_tomorrow, 1, 4);
	tcase_add_test(tc, database_only_has_an_end);
	tcase_add_test(tc, refuses_what_is_wrong);
	tcase_add_test(tc, counts);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(suite, tc);
	return suite;
}
