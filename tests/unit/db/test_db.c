/* SPDX-License-Identifier: BSD-2-Clause */
/* db.h against a real SQLite file: values there and back, errors, a database that another connection locks, deadlines, hostile texts. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/db/drv_sqlite.h"
#include "tests/lib/test_main.h"

static struct loop *loop;
static char path[64];
static char url[96];
static struct db *db;

static struct {
	int err, calls;
	unsigned n;
	struct db_val val[8];
	char text[8][128];
	uint64_t at_ms;
} got;

static void on_rows(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	(void)err_text;
	if (!arg)
		return; /* a query whose answer the test does not wait for */
	got.err = err;
	got.calls++;
	got.n = db_rows_n(rows);
	got.at_ms = clock_update();
	for (unsigned i = 0; i < db_rows_cols(rows) && i < 8; i++) {
		struct str s;

		got.val[i] = db_rows_at(rows, 0, i);
		s = db_val_str(&got.val[i]);
		ck_assert_uint_lt(s.n, sizeof(got.text[0]));
		if (s.n)
			memcpy(got.text[i], s.s, s.n);
		got.text[i][s.n] = '\0';
	}
	loop_stop(loop);
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Runs one query to its answer. */
static int ask(const char *sql, const struct db_val *params, unsigned n, unsigned deadline_ms)
{
	struct loop_timer *t;
	int err = db_query(db, str_lit(sql), params, n, deadline_ms, on_rows, &got);

	got.calls = 0;
	if (err < 0)
		return err;
	ck_assert_int_eq(loop_timer_add(loop, 20000, 0, give_up, NULL, &t), 0);
	loop_run(loop);
	loop_timer_del(t);
	ck_assert_int_eq(got.calls, 1);
	return got.err;
}

static void setup(void)
{
	struct diag d = { 0 };

	clock_update();
	memcpy(path, "/tmp/ringfort-test-db-XXXXXX", 29);
	close(mkstemp(path));
	snprintf(url, sizeof(url), "sqlite://%s", path);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(db_driver_register(&db_driver_sqlite), 0);
	ck_assert_msg(db_probe(str_lit(url), &d) == 0, "%s", d.text);
	ck_assert_msg(db_get(str_lit(url), &db, &d) == 0, "%s", d.text);
	ck_assert_int_eq(ask("CREATE TABLE t (i INTEGER, d REAL, s VARCHAR(64), b BLOB, e TIMESTAMP WITHOUT TIME ZONE)", NULL, 0, 5000), 0);
}

static void teardown(void)
{
	char side[96];

	db_close_all();
	loop_free(loop);
	unlink(path);
	snprintf(side, sizeof(side), "%s-wal", path);
	unlink(side);
	snprintf(side, sizeof(side), "%s-shm", path);
	unlink(side);
}

START_TEST(values_there_and_back)
{
	struct db_val in[5] = {
		{ .type = DB_INT, .i = -5000000000 },
		{ .type = DB_DOUBLE, .d = 1.5 },
		{ .type = DB_STR, .s = STR_LIT("it's; DROP TABLE t--") },
		{ .type = DB_BLOB, .s = STR_LIT("a\0b") },
		{ .type = DB_TIME, .i = 1795312345 },
	};

	ck_assert_int_eq(ask("INSERT INTO t VALUES (?, ?, ?, ?, ?)", in, 5, 5000), 0);
	ck_assert_int_eq(ask("SELECT i, d, s, b, e, NULL FROM t WHERE s = ?", &in[2], 1, 5000), 0);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_int_eq(got.val[0].i, -5000000000);
	ck_assert_double_eq(got.val[1].d, 1.5);
	ck_assert_str_eq(got.text[2], "it's; DROP TABLE t--");
	ck_assert_int_eq(got.val[3].type, DB_BLOB);
	ck_assert_uint_eq(got.val[3].s.n, 3);
	ck_assert_int_eq(got.val[4].type, DB_TIME);
	ck_assert_int_eq(got.val[4].i, 1795312345);
	ck_assert_int_eq(got.val[5].type, DB_NULL);
}
END_TEST

START_TEST(errors_have_reasons)
{
	struct diag d = { 0 };
	struct db *other;

	ck_assert_int_eq(ask("SELECT nothing FROM nowhere", NULL, 0, 5000), -EIO);
	ck_assert_int_eq(ask("SELECT i FROM t WHERE i = ?", NULL, 0, 5000), -EINVAL);
	ck_assert_int_eq(db_get(STR_LIT("mongo://x/y"), &other, &d), -ENOENT);
	ck_assert_ptr_nonnull(strstr(d.text, "db_mongo"));
	ck_assert_int_eq(db_probe(STR_LIT("sqlite:///nowhere/at/all.sqlite"), &d), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(d.text, "/nowhere/at/all.sqlite"));
	ck_assert_int_eq(db_probe(STR_LIT("sqlite://relative"), &d), -EINVAL);
}
END_TEST

START_TEST(corrupt_file_is_refused)
{
	char name[] = "/tmp/ringfort-test-bad-XXXXXX", bad[96];
	struct diag d = { 0 };
	int fd = mkstemp(name);

	ck_assert_int_eq(write(fd, "this is no database, it only looks like a file of some length....", 64), 64);
	close(fd);
	snprintf(bad, sizeof(bad), "sqlite://%s", name);
	ck_assert_int_eq(db_probe(str_lit(bad), &d), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(d.text, "not a database"));
	unlink(name);
}
END_TEST

START_TEST(version_is_compared)
{
	struct diag d = { 0 };

	ck_assert_int_eq(ask("CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER)", NULL, 0, 5000), 0);
	ck_assert_int_eq(ask("INSERT INTO version VALUES ('subscriber', 6)", NULL, 0, 5000), 0);
	ck_assert_int_eq(db_table_version_check(str_lit(url), STR_LIT("subscriber"), 6, &d), 0);
	ck_assert_int_eq(db_table_version_check(str_lit(url), STR_LIT("subscriber"), 7, &d), -EPROTO);
	ck_assert_ptr_nonnull(strstr(d.text, "invalid version 6 for table subscriber found, expected 7"));
	ck_assert_int_eq(db_table_version_check(str_lit(url), STR_LIT("location"), 9, &d), -EPROTO);
}
END_TEST

/* A writer that waits for another process's lock delays no reader, and its caller hears at the deadline. */
START_TEST(locked_database_stops_nobody_else)
{
	sqlite3 *other;
	uint64_t before;

	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(db_query(db, STR_LIT("INSERT INTO t (i) VALUES (7)"), NULL, 0, 60000, on_rows, NULL), 0);
	before = clock_update();
	ck_assert_int_eq(ask("SELECT count(*) FROM t", NULL, 0, 5000), 0);
	ck_assert_uint_lt(got.at_ms - before, 1000);
	ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (8)", NULL, 0, 100), -ETIMEDOUT);
	ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (9)", NULL, 0, 20000), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM t WHERE i IN (7, 9)", NULL, 0, 5000), 0);
	ck_assert_int_eq(got.val[0].i, 2);
	ck_assert_int_eq(ask("SELECT count(*) FROM t WHERE i=8", NULL, 0, 5000), 0);
	ck_assert_int_eq(got.val[0].i, 0); /* not begun after its caller heard that it failed */
}
END_TEST

static void counted(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	int *n = arg;

	(void)err_text;
	ck_assert_int_eq(err, -ECANCELED);
	ck_assert_ptr_null(rows);
	(*n)++;
}

/* What the process that ends leaves under way is told off once and is nowhere held after loop_free(): the sanitizers see a leak. */
START_TEST(ends_with_queries_under_way)
{
	int n = 0;

	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(db_query(db, STR_LIT("INSERT INTO t (i) VALUES (1)"), NULL, 0, 5000, counted, &n), 0);
		ck_assert_int_eq(db_query(db, STR_LIT("SELECT i FROM t"), NULL, 0, 5000, counted, &n), 0);
	}
	db_close_all();
	ck_assert_int_eq(n, 40);
	ck_assert_int_eq(db_query(db, STR_LIT("SELECT i FROM t"), NULL, 0, 5000, counted, &n), -ECANCELED);
	loop_free(loop);
	loop = NULL;
	ck_assert_int_eq(n, 40);
}
END_TEST

/* Until a connection has noticed: both look at most once a second. Returns the last answer to sql. */
static int ask_until(const char *sql, int err, int64_t value)
{
	uint64_t end = clock_update() + 8000;
	int now;

	do
		now = ask(sql, NULL, 0, 5000);
	while (clock_update() < end && (now != err || (err == 0 && got.val[0].i != value)));
	return now;
}

static int64_t sum_in(const char *file)
{
	sqlite3_stmt *st;
	sqlite3 *at;
	int64_t v = -1;

	ck_assert_int_eq(sqlite3_open_v2(file, &at, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(at, "SELECT sum(i) FROM t", -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	ck_assert_int_eq(sqlite3_close(at), SQLITE_OK);
	return v;
}

static void file_with(const char *file, int i)
{
	char sql[160];
	sqlite3 *at;

	(void)snprintf(sql, sizeof(sql), "CREATE TABLE t (i INTEGER, s VARCHAR(64)); INSERT INTO t (i) VALUES (%d)", i);
	ck_assert_int_eq(sqlite3_open(file, &at), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(at, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(at), SQLITE_OK);
}

/* Under load, so that the log of changes is not empty: what was acknowledged is in the old file, what follows in the new one, both are whole. */
START_TEST(replaced_file_is_followed)
{
	char old[80], fresh[80];
	int64_t written = 0, sum;
	int i;

	(void)snprintf(old, sizeof(old), "%s.old", path);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	file_with(fresh, 1000000);
	for (i = 1; i <= 100; i++, written++)
		ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (1)", NULL, 0, 5000), 0);
	ck_assert_int_eq(ask("SELECT sum(i) FROM t", NULL, 0, 5000), 0);
	ck_assert_int_eq(got.val[0].i, 100);
	ck_assert_int_eq(rename(path, old), 0);
	ck_assert_int_eq(rename(fresh, path), 0);
	ck_assert_int_eq(ask_until("SELECT max(i) FROM t", 0, 1000000), 0);
	do {
		ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (1)", NULL, 0, 5000), 0);
		written++;
		ck_assert_int_eq(ask("SELECT sum(i) - 1000000 FROM t", NULL, 0, 5000), 0);
	} while (got.val[0].i < 10 && written < 1000000);
	sum = got.val[0].i;
	ck_assert_int_ge(sum, 10);
	ck_assert_int_eq(sum_in(old) + sum, written);
	ck_assert_int_eq(sum_in(path), 1000000 + sum);
	ck_assert_int_eq(ask("PRAGMA integrity_check", NULL, 0, 5000), 0);
	ck_assert_str_eq(got.text[0], "ok");
	unlink(old);
}
END_TEST

START_TEST(removed_file_is_missed)
{
	char away[80];

	(void)snprintf(away, sizeof(away), "%s.away", path);
	ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (7)", NULL, 0, 5000), 0);
	ck_assert_int_eq(rename(path, away), 0);
	ck_assert_int_eq(ask_until("INSERT INTO t (i) VALUES (0)", -EREMOTEIO, 0), -EREMOTEIO);
	ck_assert_int_eq(ask_until("SELECT i FROM t", -EREMOTEIO, 0), -EREMOTEIO);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(sum_in(away), 7); /* without the log, which had its first name */
	ck_assert_int_eq(rename(away, path), 0);
	ck_assert_int_eq(ask("SELECT sum(i) FROM t", NULL, 0, 5000), 0);
	ck_assert_int_eq(got.val[0].i, 7);
	ck_assert_int_eq(ask("INSERT INTO t (i) VALUES (1)", NULL, 0, 5000), 0);
}
END_TEST

/* The lock of another process is not waited for any more, and nothing is begun of which the caller heard that it is not done. */
START_TEST(ends_beside_a_lock)
{
	sqlite3 *other;
	uint64_t before;
	int n = 0;

	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(db_query(db, STR_LIT("INSERT INTO t (i) VALUES (1)"), NULL, 0, 9000, counted, &n), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM t", NULL, 0, 5000), 0); /* it is at work: threads take what came first */
	db_close_all();
	before = clock_update();
	loop_free(loop);
	loop = NULL;
	ck_assert_uint_lt(clock_update() - before, 4000);
	ck_assert_int_eq(n, 1);
	sqlite3_close(other);
}
END_TEST

START_TEST(names_are_quoted)
{
	char mem[80];
	struct strbuf sb;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	ck_assert_int_eq(db_ident(&sb, STR_LIT("user name")), 0);
	ck_assert(str_eq(strbuf_str(&sb), STR_LIT("\"user name\"")));
	ck_assert_int_eq(db_ident(&sb, STR_LIT("a\"b")), -EINVAL);
	ck_assert_int_eq(db_ident(&sb, STR_LIT("")), -EINVAL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("db");
	TCase *tc = tcase_create("sqlite");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, values_there_and_back);
	tcase_add_test(tc, errors_have_reasons);
	tcase_add_test(tc, corrupt_file_is_refused);
	tcase_add_test(tc, version_is_compared);
	tcase_add_test(tc, locked_database_stops_nobody_else);
	tcase_add_test(tc, ends_with_queries_under_way);
	tcase_add_test(tc, replaced_file_is_followed);
	tcase_add_test(tc, removed_file_is_missed);
	tcase_add_test(tc, ends_beside_a_lock);
	tcase_add_test(tc, names_are_quoted);
	suite_add_tcase(s, tc);
	return s;
}
