/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of rfctl share: the options of one call, and the functions that talk to the server, the database and the operator. */
#ifndef RFCTL_RFCTL_H
#define RFCTL_RFCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/str.h"

struct sqlite3;
struct strbuf;

/* Exit status, documented in rfctl.1. */
enum { RF_OK = 0, RF_REFUSED = 1, RF_USAGE = 2, RF_NOBODY = 3 };

struct peer; /* the socket that answered */

/* Of this call; texts live as long as the program. */
struct rfctl {
	const char *program;   /* argv[0] */
	const char *address;   /* -s; NULL: the usual places */
	const char *db;        /* -d */
	const char *realm, *algorithm;
	const char *table;     /* -t */
	const char *expire;    /* -e, as given */
	unsigned timeout_ms, interval_ms;
	bool json, as_int, clear_text, secrets, once, names;
	struct peer *peer;     /* found by the first call */
};

enum rf_option_bits {
	OPT_SERVER = 1, OPT_TABLE = 2, OPT_DB = 4, OPT_HA1 = 8, OPT_SECRETS = 16, OPT_INT = 32, OPT_EXPIRE = 64, OPT_TOP = 128, OPT_NAMES = 256,
	OPT_VERBATIM = 512, /* everything behind the first argument is an argument, but for options that all commands know */
};

struct rf_command {
	const char *name;    /* "ul show" */
	const char *args;    /* "[AOR]" */
	const char *brief;
	const char *more;    /* or NULL */
	int min, max;        /* arguments */
	unsigned options;    /* rf_option_bits */
	int (*run)(struct rfctl *rf, int argc, char **argv);
};

/* ---- client.c ---- */

struct rf_reply {
	json_t *result;  /* of a call that went well; rf_reply_done() */
	int code;        /* of a fault */
	char text[512];  /* why not */
};

/*
 * Calls the server. params: an array, taken over; NULL: none. Prints nothing.
 * Returns RF_OK; RF_REFUSED: the server's fault is in ret; RF_NOBODY: why is in ret->text.
 */
int rf_try(struct rfctl *rf, const char *method, json_t *params, struct rf_reply *ret);
/* As rf_try(), telling what went wrong; ret_result is the caller's: json_decref(). */
int rf_call(struct rfctl *rf, const char *method, json_t *params, json_t **ret_result);
void rf_reply_done(struct rf_reply *reply);
void rf_peer_free(struct peer *peer);

/* ---- bin.c: binrpc, for servers that offer nothing else ---- */

/* -EINVAL: params has what binrpc cannot carry. */
int bin_request(const char *method, const json_t *params, struct strbuf *out);
/* How long the packet is that these bytes begin; 0: more are needed; negative: it is none. */
ptrdiff_t bin_frame(struct str bytes);
/* Returns 0 or -EBADMSG. */
int bin_reply(struct str packet, struct rf_reply *ret);

/* ---- repeats.c ---- */

/* Reads a document; an object in which a name repeats becomes an array of objects of one member. NULL: that is none. */
json_t *rf_json_load(struct str text);

/* ---- out.c ---- */

/* Tells a failure: on standard error, and with --json as {"error": {"code", "message"}} on standard output. Returns status. */
int rf_fail(const struct rfctl *rf, int status, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The document of --json; v is not kept. Returns RF_OK. */
int rf_print_json(const json_t *v);
/* A result of any shape, for people. */
void rf_print_value(const json_t *v);
/* Text without what would move a terminal's cursor: control characters as \xNN. */
void rf_print_safe(const char *s, size_t n);
/* A text that JSON can carry: what is no UTF-8 becomes U+FFFD. */
json_t *rf_json_text(const char *s, size_t n);

/* Rows of equal width. Cells are copied; NULL is "". */
struct rf_table;
struct rf_table *rf_table_new(const char *const *titles, unsigned n_cols); /* never NULL: without memory the program ends */
void rf_table_row(struct rf_table *t, const char *const *cells);
void rf_table_print(const struct rf_table *t);
void rf_table_free(struct rf_table *t);

/* A member as text for a cell; mem is where numbers are written. "": absent. */
#define RF_CELL_MAX 64
const char *rf_cell(const json_t *object, const char *name, char mem[RF_CELL_MAX]);
int64_t rf_int(const json_t *object, const char *name); /* 0: absent */
/*
 * Lists of named things: JSON-RPC has [{"Contact": {...}}, ...], binrpc for one of them {"Contact": {...}}. Element i without its
 * wrapping; NULL past the end. name "": elements without names; an object that is no list is a list of one.
 */
const json_t *rf_item(const json_t *list, const char *name, size_t i);

/* ---- cmd_db.c ---- */

/* Opens the database of -d, RINGFORT_DB, the running server, or the default. create: makes the file. Tells its failure. */
int rf_db_open(struct rfctl *rf, const char *file, bool create, struct sqlite3 **ret_db);
int rf_db_fail(const struct rfctl *rf, struct sqlite3 *db, const char *what);

/* ---- commands; each returns the exit status ---- */

int cmd_rpc(struct rfctl *rf, int argc, char **argv);
int cmd_uptime(struct rfctl *rf, int argc, char **argv);
int cmd_ps(struct rfctl *rf, int argc, char **argv);
int cmd_stats(struct rfctl *rf, int argc, char **argv);
int cmd_reload(struct rfctl *rf, int argc, char **argv);
int cmd_shm_check(struct rfctl *rf, int argc, char **argv);
int cmd_trap(struct rfctl *rf, int argc, char **argv);
int cmd_log_level(struct rfctl *rf, int argc, char **argv);
int cmd_quarantine_list(struct rfctl *rf, int argc, char **argv);
int cmd_quarantine_show(struct rfctl *rf, int argc, char **argv);
int cmd_quarantine_rm(struct rfctl *rf, int argc, char **argv);
int cmd_config_check(struct rfctl *rf, int argc, char **argv);
int cmd_top(struct rfctl *rf, int argc, char **argv);
int cmd_add(struct rfctl *rf, int argc, char **argv);
int cmd_passwd(struct rfctl *rf, int argc, char **argv);
int cmd_rm(struct rfctl *rf, int argc, char **argv);
int cmd_show(struct rfctl *rf, int argc, char **argv);
int cmd_ul_show(struct rfctl *rf, int argc, char **argv);
int cmd_ul_add(struct rfctl *rf, int argc, char **argv);
int cmd_ul_rm(struct rfctl *rf, int argc, char **argv);
int cmd_htable_list(struct rfctl *rf, int argc, char **argv);
int cmd_htable_dump(struct rfctl *rf, int argc, char **argv);
int cmd_htable_get(struct rfctl *rf, int argc, char **argv);
int cmd_htable_set(struct rfctl *rf, int argc, char **argv);
int cmd_htable_delete(struct rfctl *rf, int argc, char **argv);
int cmd_ban_list(struct rfctl *rf, int argc, char **argv);
int cmd_ban_add(struct rfctl *rf, int argc, char **argv);
int cmd_ban_rm(struct rfctl *rf, int argc, char **argv);
int cmd_db_create(struct rfctl *rf, int argc, char **argv);
int cmd_db_migrate(struct rfctl *rf, int argc, char **argv);
int cmd_db_check(struct rfctl *rf, int argc, char **argv);

#endif
