/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Variables: a registry of classes, parsed references to them, reading and writing. Providers are tables registered by
 * core and modules. Everything parsed lives in the pool given: the script generation's at load, the message's for dynamic text.
 */
#ifndef RF_PV_PV_H
#define RF_PV_PV_H

#include "core/transport/ctx.h"

struct pv_spec;
struct pv_trans; /* chain of transformations: trans.h */
struct fmt;

enum pv_flags {
	PV_INNER = 1,      /* must have (inner) */
	PV_INNER_OPT = 2,
	PV_INDEX = 4,      /* takes [index] */
	PV_FMT_INNER = 8,  /* inner may hold variables: spec->inner_fmt is compiled when it does */
	PV_CONTEXT = 16,   /* gives null inside $T_req() and the like */
	PV_WAITS = 32,     /* may answer PV_WAIT when ctx->pv_may_wait is set, which it clears in any case before it does anything else */
};

/* The run was parked: who asked reads the variable again when it is woken. Only where it stands as an operand of its own, not in a text. */
#define PV_WAIT (-EINPROGRESS)

/* ret text must live as long as ctx->pool (or for ever). Return 0, or < 0: evaluation failed (differs from null), or PV_WAIT. */
typedef int pv_get_fn(struct ctx *ctx, const struct pv_spec *spec, struct value *ret);
/* v: VALUE_NULL for $null. Return 0 or < 0 (refused; the reason was logged by the caller's caller). */
typedef int pv_set_fn(struct ctx *ctx, const struct pv_spec *spec, const struct value *v);
/* Checks and prepares spec->inner at load; may set spec->data, spec->arg. Returns 0 or diag_set(). */
typedef int pv_prepare_fn(struct pool *pool, struct pv_spec *spec, struct diag *reterr);

struct pv_def {
	const char *name;      /* "ru" */
	pv_get_fn *get;
	pv_set_fn *set;        /* NULL: read only */
	pv_prepare_fn *prepare;
	unsigned flags;        /* enum pv_flags */
	intptr_t arg;          /* the provider's own */
};

enum pv_index_kind { PV_IDX_NONE, PV_IDX_INT, PV_IDX_ALL, PV_IDX_PV };

struct pv_spec {
	const struct pv_def *def;
	struct str text;           /* as written */
	struct str inner;          /* n 0: none */
	struct fmt *inner_fmt;     /* inner holds variables */
	enum pv_index_kind idx_kind;
	int idx;
	struct pv_spec *idx_pv;
	struct pv_trans *trans;    /* NULL: none */
	void *data;
	intptr_t arg;
};

/* Table ends with name NULL; lives for ever. Returns 0 or -EEXIST naming in the log. Context: before forking. */
MUST_CHECK int pv_register(const struct pv_def *table);
const struct pv_def *pv_find(struct str name);
/* Parses one reference that starts at text.s[0] == '$'; *ret_len: bytes it took.
 * (The script's lexer cuts its tokens itself; here names include '.'.) Unknown name: -ENOENT with the nearest known name in the reason. */
MUST_CHECK int pv_parse(struct pool *pool, struct str text, struct pv_spec **ret_spec, size_t *ret_len, struct diag *reterr);
/* Hears of each reference that was parsed, at load and later; for those who show all that a script uses. One; NULL: none. */
void pv_on_parse(void (*fn)(const struct pv_spec *spec));
/* With transformations applied. Returns 0, or < 0 (prints nothing, counts as undefined). */
MUST_CHECK int pv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret);
MUST_CHECK int pv_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v);
bool pv_writable(const struct pv_spec *spec);
/* inner text with variables replaced. */
MUST_CHECK int pv_inner(struct ctx *ctx, const struct pv_spec *spec, struct str *ret);
/* The index as a number (PV_IDX_INT, PV_IDX_PV); 0 without one. */
MUST_CHECK int pv_index(struct ctx *ctx, const struct pv_spec *spec, int *ret);

/*
 * The number of a $var name in this process; the name keeps it until pool is reset or freed, pool NULL: for ever. What runs by it may
 * live no longer than pool. Returns the slot; -ENOSPC: 4096 names at one time; -ENOMEM.
 */
MUST_CHECK int pv_var_slot(struct pool *pool, struct str name);
/* As pv_var_slot() for $vn: a name space of its own, first value null. */
MUST_CHECK int pv_vn_slot(struct pool *pool, struct str name);
/* The slot's value in this run, made with int 0 ($vn: null; or what pv_var_default() said) on first use; NULL without memory. */
struct value *pv_var_at(struct ctx *ctx, int slot);
/* First value of a $var in each run (modparam varset); text is copied. As pv_var_slot() for ever. Context: before forking. */
MUST_CHECK int pv_var_default(struct str name, const struct value *v);
/* Walks the slots: true with the name, n 0: nobody has it now; *ret_vn tells the name space. */
bool pv_var_name(int slot, struct str *ret_name, bool *ret_vn);

/* Core parameters that variables show. Filled before forking, then read only. */
struct pv_conf {
	int server_id;          /* $sid */
	struct str instance_id; /* $iuid; n 0: unset */
	int64_t start_s;        /* $Tb, seconds since the epoch; 0: when pv_core_register() was called */
};
extern struct pv_conf pv_conf;

/* What onsend_route may see of the bytes that leave. The route layer sets it around the run; NULL: over. */
struct pv_snd {
	struct net_addr to;
	enum sip_proto proto;
	uint16_t listener; /* the sending socket */
	struct str buf;
};
void pv_snd_set(const struct ctx *ctx, const struct pv_snd *snd);
const struct pv_snd *pv_snd_of(const struct ctx *ctx); /* NULL outside */

/* Providers of the core; called by boot. */
MUST_CHECK int pv_core_register(void);   /* $null $? $rc $retcode $env $envn $def $defn $defv $defs $iuid */
/* Preprocessor defines for $def(): set by the script loader. */
typedef bool pv_define_fn(struct str name, struct str *ret_value);
void pv_set_defines(pv_define_fn *fn);

#endif
