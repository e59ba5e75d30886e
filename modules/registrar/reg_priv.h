/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of registrar share. */
#ifndef RF_MODULES_REG_PRIV_H
#define RF_MODULES_REG_PRIV_H

#include "core/module/abi.h"
#include "core/route/route.h"
#include "modules/usrloc/usrloc_api.h"

struct reg_conf {
	int default_expires, min_expires, min_expires_mode, max_expires, default_expires_range, expires_range, default_q, append_branches,
		case_sensitive, max_contacts, retry_after, sock_flag, sock_mode, method_filtering, use_path, path_mode, path_use_received,
		path_check_local, xavp_rcd_mask, gruu_enabled, outbound_mode, flow_timer, regid_mode, contact_max_size, lookup_filter_mode, use_expired_contacts,
		db_deadline_ms;
	struct str realm_prefix, received_avp, received_param, sock_hdr_name, xavp_cfg, xavp_rcd;
};
extern struct reg_conf reg_conf;

enum reg_outbound_mode { REG_OB_OFF, REG_OB_SUPPORTED, REG_OB_REQUIRED };
enum reg_save_flag { REG_MEM_ONLY = 1, REG_NO_REPLY = 2, REG_ONE = 4, REG_NO_RANDOM = 8, REG_PREPARE = 16, REG_FLAGS_ALL = 31 };

enum reg_error {
	REG_OK, REG_E_CSEQ, REG_E_AOR, REG_E_Q, REG_E_PARSE, REG_E_TO, REG_E_CALLID, REG_E_NO_CSEQ, REG_E_EXPIRES,
	REG_E_CONTACT, REG_E_STAR_EXPIRES, REG_E_STAR_COUNT, REG_E_UNESCAPE, REG_E_TOO_LONG, REG_E_CALLID_LONG, REG_E_PATH, REG_E_PATH_UNSUP,
	REG_E_REG_ID, REG_E_OB_SERVER, REG_E_OB_CLIENT, REG_E_OB_EDGE, REG_E_INTERVAL, REG_E_USRLOC, REG_E_AOR_LONG, REG_E_TOO_MANY, REG_E_DB, REG_N_ERRORS
};

/* Contacts kept by name for $ulc(). */
struct reg_profile {
	struct reg_profile *next;
	struct str name, aor, domain;
	struct ul_list list;
};

/* What registrar hangs on a context. */
struct reg_state {
	struct reg_profile *profiles;
	void *run; /* the function that waits for the database */
	bool held; /* an answer that save() flag 0x02 kept back, for reg_send_reply() */
	enum reg_error held_error;
	struct str held_fields;
};

struct reg_shared { /* this process image */
	const struct ul_api *ul;
	int modstate;
	const struct pv_spec *received_avp;
	struct pool *received_pool; /* what it is parsed into; lives as long as the process */
	int c_accepted, c_rejected;
};
extern struct reg_shared reg;

/* The state of ctx, made on first use; NULL without memory. */
struct reg_state *reg_state(struct ctx *ctx);
/* What was unescaped may hold bytes that would end a field of an answer. Not the byte 0, which a user may have (RFC 4475, 3.1.1.4). */
bool reg_has_ctl(struct str s);
/* AoR of a URI, in ctx->pool. REG_E_UNESCAPE also for control characters in the user. */
MUST_CHECK int reg_aor(struct ctx *ctx, struct str uri, struct str *ret_aor, enum reg_error *reterr);
/* $xavp(xavp_cfg=>field); false: not set. */
bool reg_cfg_int(struct ctx *ctx, const char *field, int64_t *ret);
bool reg_cfg_str(struct ctx *ctx, const char *field, struct str *ret);
/* use_expired_contacts */
enum ul_which reg_which(void);
/* A Supported (or other list) field names the token. */
bool reg_list_has(const struct sip_msg *msg, enum sip_header id, struct str token);

/* --- reg_reply.c --- */
struct reg_reply {
	enum reg_error error;
	unsigned min_expires;
	bool outbound;                /* outbound_mode is not off, and the client speaks RFC 5626 */
	struct str aor_uri;           /* its domain is for GRUUs when the AoR has none */
	struct str path;              /* to be returned */
	struct str aor;
};
/* Whole fields for the answer; in ctx->pool. */
MUST_CHECK int reg_reply_fields(struct ctx *ctx, const struct reg_reply *r, const struct ul_list *list, struct str *ret_fields);
/* Answers with 200 or the error. Returns a script code of route_reply(). */
int reg_reply_send(struct ctx *ctx, enum reg_error error, struct str fields);

/* --- script functions --- */
int reg_fn_save(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_send_reply(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_lookup(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_lookup_to_dset(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_registered(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_unregister(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_fetch(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_free(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_from_user(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_lookup_xavp(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_add_sock_hdr(struct ctx *ctx, const union script_arg *args, unsigned n);
int reg_fn_lookup_branches(struct ctx *ctx, const union script_arg *args, unsigned n);

/* The contacts of an AoR from memory or database: fn is called once, at once or later; it returns the script code. */
typedef int reg_list_fn(struct ctx *ctx, void *run, int err, const struct ul_list *list);
int reg_contacts(struct ctx *ctx, struct ul_domain *d, struct str aor, reg_list_fn *fn, void *run);
/* The same for the AoR that has the contact with this ruid, as the database says; *ret_aor is set before fn is called. err -ENOENT: none. */
int reg_contacts_of_ruid(struct ctx *ctx, struct ul_domain *d, struct str ruid, struct str *ret_aor, reg_list_fn *fn, void *run);

/* --- reg_ulc.c --- */
MUST_CHECK int reg_list_dup(struct pool *pool, const struct ul_list *list, struct ul_list *ret_copy);
extern const struct pv_def reg_pvs[];
void reg_expired(struct ul_domain *d, struct str aor, const struct ul_contact *c);

#endif
