/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module htable share. */
#ifndef RF_HTABLE_PRIV_H
#define RF_HTABLE_PRIV_H

#include "core/module/abi.h"
#include "modules/htable/table.h"

#define HT_ITERATORS 4u

struct ht_conf {
	struct str db_url, key_name_column, key_type_column, value_type_column, key_value_column, expires_column, array_size_suffix;
	struct str event_callback, dmq_peer_id;
	int fetch_rows, timer_interval, db_expires, enable_dmq, dmq_init_sync, timer_procs, event_callback_mode;
};
extern struct ht_conf ht_conf;

struct ht_iter {
	struct str name;        /* n 0: unused */
	struct ht_table *table;
	uint32_t bucket;        /* the next to copy */
	struct ht_snap snap;    /* the bucket being walked */
	size_t pos;
	bool on_item;
	uint64_t slice_end_us;  /* then others get a turn */
	struct ht_row row;      /* views into snap */
};

/* Of one run of the script; in its pool. */
struct ht_ctx {
	const struct ht_row *record; /* in htable:expired: the item */
	struct ht_iter iter[HT_ITERATORS];
	const struct pv_spec *counted; /* this $shtcn or $shtcv has its number */
	int64_t n_counted;             /* -1: it could not be counted */
};

/* Registers the slot in contexts. Before forking. */
MUST_CHECK int ht_ctx_init(void);
struct ht_ctx *ht_ctx_find(struct ctx *ctx);
/* Made on first use; NULL without memory. */
struct ht_ctx *ht_ctx_get(struct ctx *ctx);

/* "table=>key": cut at the first "=>"; -EINVAL without one. The table's name is trimmed, the key is not. */
MUST_CHECK int ht_split(struct str text, struct str *ret_table, struct str *ret_key);

enum ht_op { HT_OP_EQ, HT_OP_NE, HT_OP_RE, HT_OP_SW, HT_OP_EW, HT_OP_IN, HT_OP_ALL, HT_OP_INT };

/* A prepared test of texts. */
struct ht_test {
	enum ht_op op;
	struct str text;
	int64_t number;
	const struct regex *re;
};

/* -EINVAL when the pattern does not compile (logged). A regular expression stays valid until the next one is prepared. */
MUST_CHECK int ht_test_init(struct ht_test *test, enum ht_op op, struct str text);
bool ht_test_match(const struct ht_test *test, const struct value *v);
/* Prefixed expression of $shtcn and $shtcv. */
MUST_CHECK int ht_test_parse(struct ht_test *test, struct str expr, bool values);

/* Writes a value, logs what cannot be. v null: deletes. Returns 0 or negative errno. */
int ht_store(struct ht_table *t, struct str key, const struct value *v, int64_t ttl_s);

extern const struct pv_def ht_pvs[];
extern const struct script_func ht_funcs[];
extern const struct rpc_method ht_rpcs[];

/* Database: what can be said goes to diag or the log. */
MUST_CHECK int ht_db_load(struct ht_table *t, struct diag *reterr);   /* blocks: start-up, or process rpcd */
MUST_CHECK int ht_db_reload(struct ht_table *t, struct diag *reterr); /* the same, and items that are gone there go here */
MUST_CHECK int ht_db_store(struct ht_table *t, struct diag *reterr);  /* blocks: rpcd, or the supervisor at the end */
/* Does not wait: worker 0. */
void ht_db_reload_start(struct ht_table *t);
MUST_CHECK int ht_db_worker_init(void);


#endif
