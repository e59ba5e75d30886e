/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscribers, in the table that module auth_db reads. HA1 is the hash of user:realm:password, HA1B of user@domain:realm:password; values
 * never become SQL text. After a change a running server is told to forget what it has in its cache.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/num.h"
#include "rfctl/rfctl.h"

#define NAME_MAX_BYTES 64u /* columns username and domain */
#define PASSWORD_MAX 64u   /* column password */
#define HEX_MAX (EVP_MAX_MD_SIZE * 2 + 1)

struct user {
	char name[NAME_MAX_BYTES + 1], domain[NAME_MAX_BYTES + 1];
};

struct secrets {
	char password[PASSWORD_MAX + 1], ha1[HEX_MAX], ha1b[HEX_MAX];
};

/* ---- names ---- */

static bool is_bad_char(char c)
{
	return (unsigned char)c < 32 || c == 127;
}

static int split(const struct rfctl *rf, const char *arg, struct user *ret)
{
	const char *at = strrchr(arg, '@');
	json_t *utf8;

	if (!at || at == arg || !at[1])
		return rf_fail(rf, RF_USAGE, 0, "user@domain expected: %s", arg);
	if ((size_t)(at - arg) > NAME_MAX_BYTES || strlen(at + 1) > NAME_MAX_BYTES)
		return rf_fail(rf, RF_USAGE, 0, "a user, and a domain, has at most %u bytes", NAME_MAX_BYTES);
	for (const char *p = arg; *p; p++)
		if (is_bad_char(*p) || (*p == ':' && p < at))
			return rf_fail(rf, RF_USAGE, 0, "control characters, and \":\" in a user, are not possible: %s", arg);
	utf8 = json_string(arg);
	json_decref(utf8);
	if (!utf8)
		return rf_fail(rf, RF_USAGE, 0, "no UTF-8 text: %s", arg);
	*ret = (struct user){ 0 };
	memcpy(ret->name, arg, (size_t)(at - arg));
	memcpy(ret->domain, at + 1, strlen(at + 1));
	return RF_OK;
}

/* ---- passwords ---- */

static struct termios terminal_was;

static void restore_and_die(int sig)
{
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_was);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

/* A line of standard input without its end. Returns 0, -ENODATA, -EMSGSIZE. */
static int read_line(char out[PASSWORD_MAX + 1])
{
	size_t n = 0;
	char c;

	for (;;) { /* byte by byte: what follows is not ours */
		ssize_t got = read(STDIN_FILENO, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 && n == 0)
			return -ENODATA;
		if (got <= 0 || c == '\n')
			break;
		if (n == PASSWORD_MAX)
			return -EMSGSIZE;
		out[n++] = c;
	}
	out[n - (n > 0 && out[n - 1] == '\r')] = '\0';
	return 0;
}

static int ask(const char *prompt, char out[PASSWORD_MAX + 1])
{
	struct termios silent;
	int err;

	if (!isatty(STDIN_FILENO))
		return read_line(out);
	if (tcgetattr(STDIN_FILENO, &terminal_was) < 0)
		return -errno;
	silent = terminal_was;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	(void)signal(SIGINT, restore_and_die);
	(void)signal(SIGTERM, restore_and_die);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	(void)fputs(prompt, stderr);
	err = read_line(out);
	(void)fputc('\n', stderr);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_was);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	return err;
}

static int password_of(const struct rfctl *rf, const char *arg, char out[PASSWORD_MAX + 1])
{
	char again[PASSWORD_MAX + 1];
	int err = 0;
	bool same = true;

	if (arg && strcmp(arg, "-") != 0) {
		if (strlen(arg) > PASSWORD_MAX)
			err = -EMSGSIZE;
		else
			memcpy(out, arg, strlen(arg) + 1);
	} else {
		err = ask("Password: ", out);
		if (err == 0 && isatty(STDIN_FILENO)) {
			err = ask("Again: ", again);
			same = err == 0 && strcmp(out, again) == 0;
			OPENSSL_cleanse(again, sizeof(again));
		}
	}
	if (err == -EMSGSIZE)
		return rf_fail(rf, RF_USAGE, 0, "a password has at most %u bytes", PASSWORD_MAX);
	if (err < 0 || !out[0])
		return rf_fail(rf, RF_USAGE, 0, "a password is missing");
	return same ? RF_OK : rf_fail(rf, RF_USAGE, 0, "the two passwords differ: nothing was changed");
}

/* ---- hashes ---- */

static const EVP_MD *digest_of(const char *name)
{
	if (!name || strcasecmp(name, "md5") == 0)
		return EVP_md5();
	if (strcasecmp(name, "sha-256") == 0)
		return EVP_sha256();
	return strcasecmp(name, "sha-512-256") == 0 ? EVP_sha512_256() : NULL;
}

static bool hash(const EVP_MD *md, const char *user, const char *domain, const char *realm, const char *password, char out[HEX_MAX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char text[512];
	unsigned n = 0;
	int len = snprintf(text, sizeof(text), "%s%s%s:%s:%s", user, domain ? "@" : "", domain ? domain : "", realm, password);
	bool ok = len > 0 && len < (int)sizeof(text) && EVP_Digest(text, (size_t)len, sum, &n, md, NULL) == 1;

	OPENSSL_cleanse(text, sizeof(text));
	if (ok)
		*num_hex_of(sum, n, out) = '\0';
	return ok;
}

static int make_secrets(const struct rfctl *rf, const struct user *u, const char *arg, struct secrets *ret)
{
	const EVP_MD *md = digest_of(rf->algorithm);
	const char *realm = rf->realm ? rf->realm : u->domain;
	int status;

	if (!md)
		return rf_fail(rf, RF_USAGE, 0, "--algorithm %s: md5, sha-256 or sha-512-256 expected", rf->algorithm);
	if (strlen(realm) > 128)
		return rf_fail(rf, RF_USAGE, 0, "--realm: at most 128 bytes");
	status = password_of(rf, arg, ret->password);
	if (status != RF_OK)
		return status;
	if (!hash(md, u->name, NULL, realm, ret->password, ret->ha1) || !hash(md, u->name, u->domain, realm, ret->password, ret->ha1b))
		return rf_fail(rf, RF_REFUSED, 0, "the hash cannot be made");
	if (!rf->clear_text)
		OPENSSL_cleanse(ret->password, sizeof(ret->password));
	return RF_OK;
}

/* ---- statements ---- */

/* Runs one statement with texts in place of its "?". Returns SQLite's result. */
static int statement(sqlite3 *db, const char *sql, const char *const *texts, int n)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	for (int i = 0; i < n && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_text(st, i + 1, texts[i], -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	(void)sqlite3_finalize(st);
	return rc;
}

static int done(struct rfctl *rf, const struct user *u, const char *what)
{
	if (rf->json) {
		json_t *doc = json_pack("{ss, ss, ss}", "result", what, "username", u->name, "domain", u->domain);

		(void)rf_print_json(doc);
		json_decref(doc);
	} else {
		(void)printf("%s %s@%s\n", what, u->name, u->domain);
	}
	return RF_OK;
}

/* Best effort: no server, or one that has no cache, has nothing to forget. */
static void forget(struct rfctl *rf, const struct user *u)
{
	struct rf_reply r;

	(void)rf_try(rf, "auth_db.cache_flush", json_pack("[s]", u->name), &r);
	rf_reply_done(&r);
}

/* user@domain [password], hashed, and the open database. */
static int begin(struct rfctl *rf, int argc, char **argv, struct user *ret_u, struct secrets *ret_s, sqlite3 **ret_db)
{
	int status = split(rf, argv[0], ret_u);

	if (status == RF_OK)
		status = make_secrets(rf, ret_u, argc > 1 ? argv[1] : NULL, ret_s);
	if (status == RF_OK)
		status = rf_db_open(rf, NULL, false, ret_db);
	if (status != RF_OK)
		OPENSSL_cleanse(ret_s, sizeof(*ret_s));
	return status;
}

int cmd_add(struct rfctl *rf, int argc, char **argv)
{
	struct secrets s = { .password = "" };
	struct user u;
	sqlite3 *db;
	int rc, status = begin(rf, argc, argv, &u, &s, &db);

	if (status != RF_OK)
		return status;
	rc = statement(db, "INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES (?, ?, ?, ?, ?)",
		       (const char *const[]){ u.name, u.domain, s.password, s.ha1, s.ha1b }, 5);
	OPENSSL_cleanse(&s, sizeof(s));
	if (rc == SQLITE_CONSTRAINT)
		status = rf_fail(rf, RF_REFUSED, 0, "%s@%s is there already (rfctl passwd changes the password)", u.name, u.domain);
	else if (rc != SQLITE_DONE)
		status = rf_db_fail(rf, db, "the subscriber cannot be added");
	(void)sqlite3_close(db);
	if (status != RF_OK)
		return status;
	forget(rf, &u); /* that there is no such user may be in the cache */
	return done(rf, &u, "added");
}

/* One row must have been changed. */
static int changed(struct rfctl *rf, sqlite3 *db, const struct user *u, int rc, const char *what)
{
	int status = RF_OK;

	if (rc != SQLITE_DONE)
		status = rf_db_fail(rf, db, "the subscriber cannot be changed");
	else if (sqlite3_changes(db) == 0)
		status = rf_fail(rf, RF_REFUSED, 0, "no subscriber %s@%s", u->name, u->domain);
	(void)sqlite3_close(db);
	if (status != RF_OK)
		return status;
	forget(rf, u);
	return done(rf, u, what);
}

int cmd_passwd(struct rfctl *rf, int argc, char **argv)
{
	struct secrets s = { .password = "" };
	struct user u;
	sqlite3 *db;
	int rc, status = begin(rf, argc, argv, &u, &s, &db);

	if (status != RF_OK)
		return status;
	rc = statement(db, "UPDATE subscriber SET password = ?, ha1 = ?, ha1b = ? WHERE username = ? AND domain = ?",
		       (const char *const[]){ s.password, s.ha1, s.ha1b, u.name, u.domain }, 5);
	OPENSSL_cleanse(&s, sizeof(s));
	return changed(rf, db, &u, rc, "changed");
}

int cmd_rm(struct rfctl *rf, int argc, char **argv)
{
	struct user u;
	sqlite3 *db;
	int rc, status = split(rf, argv[0], &u);

	(void)argc;
	if (status == RF_OK)
		status = rf_db_open(rf, NULL, false, &db);
	if (status != RF_OK)
		return status;
	rc = statement(db, "DELETE FROM subscriber WHERE username = ? AND domain = ?", (const char *const[]){ u.name, u.domain }, 2);
	return changed(rf, db, &u, rc, "removed");
}

/* ---- show ---- */

static void show_row(struct rfctl *rf, sqlite3_stmt *st, json_t *list, struct rf_table *t)
{
	static const char *const names[] = { "username", "domain", "password", "ha1", "ha1b" };
	json_t *o = json_object();
	const char *cells[5];

	for (int i = 0; i < 5; i++) {
		const char *s = (const char *)sqlite3_column_text(st, i);
		bool set = s && s[0];

		cells[i] = i < 2 || rf->secrets ? (s ? s : "") : set ? "yes" : "no";
		json_object_set_new(o, names[i],
				    i < 2 || rf->secrets ? rf_json_text(s ? s : "", s ? strlen(s) : 0) : json_boolean(set));
	}
	json_array_append_new(list, o);
	rf_table_row(t, cells);
}

int cmd_show(struct rfctl *rf, int argc, char **argv)
{
	static const char *const titles[] = { "USER", "DOMAIN", "PASSWORD", "HA1", "HA1B" };
	const char *at = argc > 0 ? strrchr(argv[0], '@') : NULL;
	json_t *list;
	struct rf_table *t;
	sqlite3_stmt *st;
	sqlite3 *db;
	int rc, status = rf_db_open(rf, NULL, false, &db);

	if (status != RF_OK)
		return status;
	rc = sqlite3_prepare_v2(db, "SELECT username, domain, password, ha1, ha1b FROM subscriber"
				    " WHERE (?1 IS NULL OR username = ?1) AND (?2 IS NULL OR domain = ?2) ORDER BY domain, username", -1, &st, NULL);
	if (rc == SQLITE_OK && argc > 0)
		rc = sqlite3_bind_text(st, 1, argv[0], at ? (int)(at - argv[0]) : -1, SQLITE_STATIC);
	if (rc == SQLITE_OK && at)
		rc = sqlite3_bind_text(st, 2, at + 1, -1, SQLITE_STATIC);
	list = json_array();
	t = rf_table_new(titles, 5);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			show_row(rf, st, list, t);
	}
	(void)sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		status = rf_db_fail(rf, db, "the subscribers cannot be read");
	else if (argc > 0 && json_array_size(list) == 0)
		status = rf_fail(rf, RF_REFUSED, 0, "no subscriber %s", argv[0]);
	else if (rf->json)
		(void)rf_print_json(list);
	else
		rf_table_print(t);
	(void)sqlite3_close(db);
	rf_table_free(t);
	json_decref(list);
	return status;
}
