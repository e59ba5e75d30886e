/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed option tables: what a module or the core can be told by the script (modparam, global
 * parameters), with default and range. One line adds one option.
 */
#ifndef RF_SETTINGS_SCHEMA_H
#define RF_SETTINGS_SCHEMA_H

#include <limits.h>
#include <stdbool.h>

#include "core/base/diag.h"
#include "core/base/secret.h"

enum setting_type {
	SETTING_END_T,
	SETTING_INT_T,  /* int at offset */
	SETTING_STR_T,  /* struct str at offset; the text lives for ever */
	SETTING_FN_INT_T, /* fn is called for each occurrence (repeatable) */
	SETTING_FN_STR_T,
};

struct setting;
/* conf: the object the offsets are in. Returns 0; 1 with a warning in reterr, which is told with its place; or diag_set()'s value with the reason. */
typedef int setting_fn(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr);

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;
	int64_t def, min, max;
	const char *def_str;  /* NULL: unset */
	setting_fn *fn;
	bool secret;          /* a key or a password: nobody is shown it, neither by RPC nor in the log */
	bool live;            /* a reload of the script may change it: whoever needs it reads conf at each use */
	setting_fn *reload;   /* repeatable ones: takes an occurrence that is new in a reload, in each process, before the script
	                       * is compiled; the reload may still be refused. It may be called again for what it knows. NULL: fixed */
};

/* clang-format off */
#define SETTING_INT(name_, conf_, field_, def_, min_, max_) { .name = (name_), .type = SETTING_INT_T, .offset = offsetof(conf_, field_), .def = (def_), .min = (min_), .max = (max_) }
#define SETTING_STR(name_, conf_, field_, def_) { .name = (name_), .type = SETTING_STR_T, .offset = offsetof(conf_, field_), .def_str = (def_) }
#define SETTING_SECRET(name_, conf_, field_, def_) { .name = (name_), .type = SETTING_STR_T, .offset = offsetof(conf_, field_), .def_str = (def_), .secret = true }
#define SETTING_FN_INT(name_, fn_) { .name = (name_), .type = SETTING_FN_INT_T, .fn = (fn_), .min = INT64_MIN, .max = INT64_MAX }
#define SETTING_FN_STR(name_, fn_) { .name = (name_), .type = SETTING_FN_STR_T, .fn = (fn_) }
/* The same, changed by a reload. */
#define SETTING_LIVE_INT(name_, conf_, field_, def_, min_, max_) { .name = (name_), .type = SETTING_INT_T, .offset = offsetof(conf_, field_), .def = (def_), .min = (min_), .max = (max_), .live = true }
#define SETTING_LIVE_STR(name_, conf_, field_, def_) { .name = (name_), .type = SETTING_STR_T, .offset = offsetof(conf_, field_), .def_str = (def_), .live = true }
/* Names a function of an embedded language (KEMI), of which there is none: only the empty text is taken. event_: what to write instead. */
#define SETTING_KEMI(name_, event_) { .name = (name_), .type = SETTING_FN_STR_T, .def_str = (event_), .fn = setting_kemi }
#define SETTING_END { .type = SETTING_END_T }
/* clang-format on */

setting_fn setting_kemi;

/* Adds the text of a setting as it may be shown: of a secret that is set SECRET_SHOWN, else with the passwords of URLs hidden. */
void settings_show(const struct setting *set, struct str value, struct strbuf *sb);
void settings_defaults(const struct setting *table, void *conf);
const struct setting *settings_find(const struct setting *table, struct str name);
/* Is the value of the right kind and in range? Functions are not asked. */
MUST_CHECK int settings_check(const struct setting *set, bool is_int, int64_t i, struct diag *reterr);
/* Sets one value; the text of s must live for ever, it is not copied. is_int tells which of i, s was given; the wrong kind, or a value out of range, is refused with the reason. */
MUST_CHECK int settings_set(const struct setting *set, void *conf, bool is_int, int64_t i, struct str s, struct diag *reterr);

#endif
