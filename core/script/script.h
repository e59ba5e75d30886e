/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A script generation: text -> preprocessor -> tokens -> tree -> checks -> verified bytecode. Immutable once loaded.
 */
#ifndef RF_SCRIPT_SCRIPT_H
#define RF_SCRIPT_SCRIPT_H

#include <stdio.h>

#include "core/base/diag.h"
#include "core/transport/ctx.h"

struct script;
struct script_files; /* files.h */

enum script_err_level { SCRIPT_WARNING, SCRIPT_ERROR };
/* A place that needs a module which is not there. */
struct script_use {
	struct script_use *next;
	struct str file;
	unsigned line, column;
	struct str what;       /* "ds_select_dst()", "$dsv", "modparam ds_ping_interval" */
};
struct script_err {
	struct script_err *next;
	enum script_err_level level;
	struct str file;
	unsigned line, column;
	struct str text;       /* the reason */
	struct str source;     /* the source line, for the caret */
	enum diag_kind kind;   /* a name is not known, or an old one */
	struct str name, near; /* n 0: none. near of a warning: what an old name is called now */
	struct str module;     /* that would bring the name */
	struct script_use *uses, **uses_tail; /* DIAG_MODULE, with all_errors: in the order they were found */
};

/* What the script tells the program while it is read, in order. Each returns 0; 1 with a warning; or diag_set(): an error at that
 * place. */
struct script_host {
	int (*load_module)(struct str name, struct str opts, struct diag *reterr);
	int (*load_path)(struct str path, struct diag *reterr);
	int (*modparam)(struct str module_regex, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr);
	/* name = value: core parameter. listen and alias have their own. Unknown: -ENOENT with the nearest known name. */
	int (*param)(struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr);
	int (*listen)(const struct net_listen_spec *spec, struct diag *reterr);
	int (*alias)(enum sip_proto proto, struct str host, uint16_t port, struct diag *reterr);
	/* group.name = value: custom variables (language.md, section 9). */
	int (*custom_var)(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc, struct diag *reterr);
};

struct script_define {
	struct str name, value;
	bool has_value;
};

struct script_opts {
	const char *path;                 /* "-": standard input */
	struct str text;                  /* n > 0: the script itself; path is only its name */
	struct script_files *files;       /* where texts come from, and where those read are kept; NULL: from disk, and forgotten */
	const struct script_define *defines; /* -A */
	unsigned n_defines;
	const char *const *substs;        /* --subst, --substdef, --substdefs: "subst /a/b/" */
	unsigned n_substs;
	bool all_errors;
	const struct script_host *host;
	const char *version;              /* "6.2.0": the language level announced by KAMAILIO_VERSION */
};

/* Returns 0; -EBADMSG with at least one SCRIPT_ERROR in *ret_errs; -ENOENT when the file cannot be read (said in *ret_errs too).
 * The list is always given (warnings); script_errs_free(). Context: start-up, or a reload's own process. */
MUST_CHECK int script_load(const struct script_opts *opts, struct script **ret_script, struct script_err **ret_errs);
/*
 * The same in steps of one item or route each, for processes that must not be held up: begin, step until it returns false, end. opts
 * lives until the end. Other work may be done between steps, but no other load. An end before the last step gives up: -ECANCELED.
 */
struct script_load;
MUST_CHECK int script_load_begin(const struct script_opts *opts, struct script_load **ret_load);
bool script_load_step(struct script_load *load);
MUST_CHECK int script_load_end(struct script_load *load, struct script **ret_script, struct script_err **ret_errs);
/* Where the item stands that is being read; for the host's functions. The file's name lives as long as the script. False: nowhere. */
bool script_load_place(struct str *ret_file, unsigned *ret_line, unsigned *ret_column);
void script_free(struct script *s);
/* "file:line:column: error: text", the source line and a caret, the places of script_err.uses. */
void script_err_print(FILE *out, const struct script_err *err);
/* All of them as one JSON document (README, "Checking a script"), on one line. failure: why the start ended after the script
 * was read, or NULL. */
void script_errs_print_json(FILE *out, struct str script, const struct script_err *errs, const char *failure);
void script_errs_free(struct script_err *errs);
/* Appends one of the caller's own; texts are copied. Without memory it is lost. */
void script_err_add(struct script_err **list, enum script_err_level level, struct str file, unsigned line, unsigned column, const char *text);
/* Only the preprocessor: --cfg-print. */
MUST_CHECK int script_preprocess(const struct script_opts *opts, FILE *out, struct script_err **ret_errs);

/* Index of a route, or -1. name n 0: the unnamed one of that kind (main, core reply, onsend). CTX_EVENT: "tm:local-request".
 * `route[X]` blocks are CTX_REQUEST with a name. */
int script_route_find(const struct script *s, enum ctx_kind kind, struct str name);
struct str script_route_name(const struct script *s, int route);
/* Human-readable bytecode. */
void script_disasm(const struct script *s, FILE *out);
/* Value of a preprocessor define. */
/* Its defines, the last one first. value.s NULL: it has none. -ENOENT past the end. */
unsigned script_define_count(const struct script *s);
MUST_CHECK int script_define_at(const struct script *s, unsigned i, struct str *ret_name, struct str *ret_value);
bool script_define_find(const struct script *s, struct str name, struct str *ret_value);
/* flags a, b: number of a declared name, or -1. */
int script_flag_find(struct str name);

/* What an action is, for those who watch scripts run (vm_on_action()). */
enum script_action { SA_CALL, SA_CORE /* a command of the language */, SA_ROUTE, SA_IF, SA_WHILE, SA_SWITCH, SA_ASSIGN, SA_RETURN, SA_EXIT, SA_DROP, SA_BREAK };
/* From now on scripts are compiled so that they can be watched; without it they carry nothing for it. Context: while a script is loaded. */
void script_trace(void);

#endif
