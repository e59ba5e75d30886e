/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SQLite database: made, compared with the standard tables, brought up to them. The standard is conf/sql/sqlite/standard.sql, compiled
 * in: it is run in a database in memory, and the two are compared table by table. So there is no second list of tables anywhere.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/strbuf.h"
#include "rfctl/rfctl.h"

#define DEFAULT_FILE "/var/lib/ringfort/ringfort.sqlite"
#define BUSY_MS 5000
#define ASK_SERVER_MS 1000u

static const char standard_sql[] =
#include "rfctl/standard.inc" /* made from conf/sql, see local.mk */
	;

/* ---- which one ---- */

int rf_db_fail(const struct rfctl *rf, sqlite3 *db, const char *what)
{
	return rf_fail(rf, RF_REFUSED, 0, "%s: %s: %s", sqlite3_db_filename(db, "main"), what, sqlite3_errmsg(db));
}

/* The database that the running server reads its subscribers from. */
static bool server_file(struct rfctl *rf, char *out, size_t cap)
{
	unsigned was = rf->timeout_ms;
	struct rf_reply r;
	const char *url = NULL;
	bool found;

	rf->timeout_ms = was < ASK_SERVER_MS ? was : ASK_SERVER_MS;
	if (rf_try(rf, "modparam.gets", json_pack("[ss]", "auth_db", "db_url"), &r) == RF_OK)
		url = json_string_value(json_object_get(r.result, "value"));
	rf->timeout_ms = was;
	found = url && url[0] && snprintf(out, cap, "%s", url) < (int)cap;
	rf_reply_done(&r);
	return found;
}

static int find_file(struct rfctl *rf, const char *file, char *out, size_t cap)
{
	const char *env = getenv("RINGFORT_DB"), *given = file ? file : rf->db ? rf->db : env && env[0] ? env : NULL;

	if (given ? snprintf(out, cap, "%s", given) >= (int)cap : !server_file(rf, out, cap) && snprintf(out, cap, "%s", DEFAULT_FILE) < 0)
		return rf_fail(rf, RF_USAGE, 0, "that name is too long for a database");
	if (strncmp(out, "sqlite://", 9) == 0)
		memmove(out, out + 9, strlen(out + 9) + 1);
	else if (strstr(out, "://"))
		return rf_fail(rf, RF_USAGE, 0, "only SQLite databases can be worked on here: %s", out);
	return RF_OK;
}

int rf_db_open(struct rfctl *rf, const char *file, bool create, sqlite3 **ret_db)
{
	char path[4096];
	int rc, status = find_file(rf, file, path, sizeof(path));
	struct stat st;

	if (status != RF_OK)
		return status;
	if (stat(path, &st) < 0 && !(create && errno == ENOENT))
		return rf_fail(rf, RF_REFUSED, 0, "%s: %s%s", path, strerror(errno), errno == ENOENT ? " (rfctl db create makes it)" : "");
	(void)umask(0077); /* whoever reads hashes can try passwords on them */
	rc = sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), NULL);
	if (rc == SQLITE_OK)
		(void)sqlite3_busy_timeout(*ret_db, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(*ret_db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return RF_OK;
	status = rf_fail(rf, RF_REFUSED, 0, "%s: %s", path, *ret_db ? sqlite3_errmsg(*ret_db) : sqlite3_errstr(rc));
	(void)sqlite3_close(*ret_db);
	return status;
}

/* ---- the difference ---- */

/* One thing that the database lacks; sql: what would bring it, NULL: it cannot be brought. */
typedef int lack_fn(void *arg, const char *text, const char *sql);

struct compare {
	sqlite3 *db, *standard;
	lack_fn *fn;
	void *arg;
};

/* A number that a query with one text gives; -1: no row. */
static int64_t ask(sqlite3 *db, const char *sql, const char *a, const char *b)
{
	sqlite3_stmt *st;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	(void)sqlite3_bind_text(st, 1, a, -1, SQLITE_STATIC);
	if (b)
		(void)sqlite3_bind_text(st, 2, b, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return v;
}

/* Calls row() for each row of a query with at most one text. */
static int each(sqlite3 *db, const char *sql, const char *text, int (*row)(struct compare *c, const char *table, sqlite3_stmt *st), struct compare *c)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL), err = 0;

	if (rc == SQLITE_OK && text)
		rc = sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && err == 0) {
		if (sqlite3_step(st) != SQLITE_ROW)
			break;
		err = row(c, text, st);
	}
	(void)sqlite3_finalize(st);
	return rc != SQLITE_OK ? -EIO : err;
}

static const char *col(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	return s ? s : "";
}

/* name, type, notnull, default, pk of a column of the standard. */
static int column_row(struct compare *c, const char *table, sqlite3_stmt *st)
{
	const char *name = col(st, 0), *dflt = (const char *)sqlite3_column_text(st, 3);
	char text[256], sql[512];

	if (ask(c->db, "SELECT 1 FROM pragma_table_info(?) WHERE name = ? COLLATE NOCASE", table, name) == 1)
		return 0;
	(void)snprintf(text, sizeof(text), "table %s: column %s is missing", table, name);
	if (sqlite3_column_int(st, 4)) /* a primary key cannot be added */
		return c->fn(c->arg, text, NULL);
	(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s%s%s%s", table, name, col(st, 1), dflt ? " DEFAULT " : "",
		       dflt ? dflt : "", sqlite3_column_int(st, 2) ? " NOT NULL" : "");
	return c->fn(c->arg, text, sql);
}

/* name, unique, origin of an index of the standard: the database needs one over the same columns. */
static int index_row(struct compare *c, const char *table, sqlite3_stmt *st)
{
	static const char columns[] = "SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(?) ORDER BY seqno)";
	char cols[256] = "", text[400], sql[800];
	sqlite3_stmt *q;

	if (strcmp(col(st, 2), "pk") == 0)
		return 0;
	if (sqlite3_prepare_v2(c->standard, columns, -1, &q, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(q, 1, col(st, 0), -1, SQLITE_TRANSIENT);
		if (sqlite3_step(q) == SQLITE_ROW)
			(void)snprintf(cols, sizeof(cols), "%s", col(q, 0));
		(void)sqlite3_finalize(q);
	}
	(void)snprintf(sql, sizeof(sql), "SELECT 1 FROM pragma_index_list(?1) AS l WHERE l.\"unique\" >= %d AND (SELECT group_concat(name) FROM"
					 " (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)) = ?2 COLLATE NOCASE", sqlite3_column_int(st, 1));
	if (ask(c->db, sql, table, cols) == 1)
		return 0;
	(void)snprintf(text, sizeof(text), "table %s: %sindex over %s is missing", table, sqlite3_column_int(st, 1) ? "unique " : "", cols);
	(void)snprintf(sql, sizeof(sql), "CREATE %sINDEX \"%s_%s_idx\" ON \"%s\" (%s)", sqlite3_column_int(st, 1) ? "UNIQUE " : "", table, cols, table,
		       cols);
	for (char *p = strchr(sql, '"') + 1; *p != '"'; p++)
		*p = *p == ',' ? '_' : *p;
	return c->fn(c->arg, text, sql);
}

/* name, sql of a table of the standard. */
static int table_row(struct compare *c, const char *unused, sqlite3_stmt *st)
{
	char name[64], text[160];
	int err;

	(void)unused;
	(void)snprintf(name, sizeof(name), "%s", col(st, 0));
	if (ask(c->db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", name, NULL) != 1) {
		(void)snprintf(text, sizeof(text), "table %s is missing", name);
		return c->fn(c->arg, text, col(st, 1));
	}
	err = each(c->standard, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?)", name, column_row, c);
	return err == 0 ? each(c->standard, "SELECT name, \"unique\", origin FROM pragma_index_list(?)", name, index_row, c) : err;
}

/* table_name, table_version of the standard. Runs after the tables: what it reads is there when all else was brought. */
static int version_row(struct compare *c, const char *unused, sqlite3_stmt *st)
{
	int64_t want = sqlite3_column_int64(st, 1), is = ask(c->db, "SELECT table_version FROM version WHERE table_name = ?", col(st, 0), NULL);
	char text[200], sql[300];

	(void)unused;
	if (is == want)
		return 0;
	if (is < 0)
		(void)snprintf(text, sizeof(text), "table %s: no row in table version, %lld expected", col(st, 0), (long long)want);
	else
		(void)snprintf(text, sizeof(text), "table %s: version %lld found, %lld expected%s", col(st, 0), (long long)is, (long long)want,
			       is > want ? ": it is newer than this program" : "");
	(void)snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO version (table_name, table_version) VALUES ('%s', %lld)", col(st, 0), (long long)want);
	return c->fn(c->arg, text, is > want ? NULL : sql);
}

/* Calls fn for all that db lacks: tables, columns, indexes, then versions. Returns 0, or what fn said. */
static int compare(sqlite3 *db, lack_fn *fn, void *arg)
{
	struct compare c = { .db = db, .fn = fn, .arg = arg };
	int err = -EIO;

	if (sqlite3_open(":memory:", &c.standard) == SQLITE_OK && sqlite3_exec(c.standard, standard_sql, NULL, NULL, NULL) == SQLITE_OK)
		err = each(c.standard, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid", NULL,
			   table_row, &c);
	if (err == 0)
		err = each(c.standard, "SELECT table_name, table_version FROM version ORDER BY rowid", NULL, version_row, &c);
	(void)sqlite3_close(c.standard);
	return err;
}

/* ---- commands ---- */

struct found {
	sqlite3 *db;
	json_t *list;      /* of texts */
	unsigned n_beyond; /* that cannot be brought */
	bool tell, bring;
};

static int lacks(void *arg, const char *text, const char *sql)
{
	struct found *f = arg;

	if (f->bring && sql && sqlite3_exec(f->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	f->n_beyond += sql == NULL;
	json_array_append_new(f->list, json_string(text));
	if (f->tell)
		(void)printf("%s\n", text);
	return 0;
}

static int report(struct rfctl *rf, sqlite3 *db, struct found *f, const char *member, bool ok, const char *words)
{
	const char *file = sqlite3_db_filename(db, "main");

	if (rf->json) {
		json_t *doc = json_pack("{so, sb, sO}", "file", rf_json_text(file, strlen(file)), "ok", ok, member, f->list);

		(void)rf_print_json(doc);
		json_decref(doc);
	} else {
		(void)printf("%s: %s\n", file, words);
	}
	return ok ? RF_OK : RF_REFUSED;
}

int cmd_db_check(struct rfctl *rf, int argc, char **argv)
{
	struct found f = { .list = json_array(), .tell = !rf->json };
	sqlite3 *db;
	int status = rf_db_open(rf, argc > 0 ? argv[0] : NULL, false, &db);

	if (status == RF_OK) {
		bool ok = compare(db, lacks, &f) == 0 && json_array_size(f.list) == 0;

		status = report(rf, db, &f, "missing", ok, ok ? "has the standard tables" : "does not have the standard tables (rfctl db migrate)");
		(void)sqlite3_close(db);
	}
	json_decref(f.list);
	return status;
}

/* All in one transaction: a migration that fails leaves what was there. */
static int migrate(struct rfctl *rf, sqlite3 *db, const char *words)
{
	struct found f = { .db = db, .list = json_array(), .bring = true };
	int status;

	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK || compare(db, lacks, &f) < 0 ||
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		status = rf_db_fail(rf, db, "nothing was changed");
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	} else {
		for (size_t i = 0; i < json_array_size(f.list) && !rf->json; i++)
			(void)printf("%s\n", json_string_value(json_array_get(f.list, i)));
		status = report(rf, db, &f, "changes", f.n_beyond == 0,
				f.n_beyond ? "some of this cannot be done here" : json_array_size(f.list) ? words : "has the standard tables");
	}
	json_decref(f.list);
	return status;
}

int cmd_db_migrate(struct rfctl *rf, int argc, char **argv)
{
	sqlite3 *db;
	int status = rf_db_open(rf, argc > 0 ? argv[0] : NULL, false, &db);

	if (status != RF_OK)
		return status;
	status = migrate(rf, db, "all of this was done");
	(void)sqlite3_close(db);
	return status;
}

int cmd_db_create(struct rfctl *rf, int argc, char **argv)
{
	struct found f = { .list = json_array() };
	sqlite3 *db;
	int status = rf_db_open(rf, argc > 0 ? argv[0] : NULL, true, &db);

	if (status == RF_OK) {
		bool empty = ask(db, "SELECT count(*) FROM sqlite_master WHERE type = ?", "table", NULL) == 0;

		if (empty && (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK || sqlite3_exec(db, standard_sql, NULL, NULL, NULL) != SQLITE_OK ||
			      sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK))
			status = rf_db_fail(rf, db, "the tables cannot be made");
		else if (compare(db, lacks, &f) < 0 || json_array_size(f.list) > 0) /* it was there, and is another's or older */
			status = report(rf, db, &f, "missing", false, "was there already, and lacks standard tables (rfctl db migrate)");
		else
			status = report(rf, db, &f, "missing", true, "has the standard tables");
		(void)sqlite3_close(db);
	}
	json_decref(f.list);
	return status;
}
