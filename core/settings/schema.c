/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed option tables. The table says which type a value has and where it goes; a value of the
 * other type is refused and never converted, because a script that gives "5" for 5 means something
 * else.
 */
#include "core/settings/schema.h"

#include <errno.h>
#include <inttypes.h>

static int *int_at(const struct setting *set, void *conf)
{
	return (int *)(void *)((char *)conf + set->offset);
}

static struct str *str_at(const struct setting *set, void *conf)
{
	return (struct str *)(void *)((char *)conf + set->offset);
}

void settings_show(const struct setting *set, struct str value, struct strbuf *sb)
{
	if (set->secret && value.n > 0)
		strbuf_add_lit(sb, SECRET_SHOWN);
	else
		secret_hide(sb, value);
}

void settings_defaults(const struct setting *table, void *conf)
{
	for (const struct setting *set = table; set->type != SETTING_END_T; set++) {
		if (set->type == SETTING_INT_T)
			*int_at(set, conf) = (int)set->def;
		else if (set->type == SETTING_STR_T)
			*str_at(set, conf) = str_lit(set->def_str);
	}
}

const struct setting *settings_find(const struct setting *table, struct str name)
{
	for (const struct setting *set = table; set->type != SETTING_END_T; set++)
		if (str_eq(str_lit(set->name), name))
			return set;
	return NULL;
}

int settings_check(const struct setting *set, bool is_int, int64_t i, struct diag *reterr)
{
	bool wants_int = set->type == SETTING_INT_T || set->type == SETTING_FN_INT_T;

	if (set->type == SETTING_END_T)
		return diag_set(reterr, 0, "not a setting");
	if (wants_int != is_int)
		return diag_set(reterr, 0, "%s: %s expected", set->name,
		                wants_int ? "a number" : "a string");
	if (is_int && (i < set->min || i > set->max ||
	               (set->type == SETTING_INT_T && (i < INT_MIN || i > INT_MAX))))
		return diag_set(reterr, 0, "%s: %" PRId64 " is not from %" PRId64 " to %" PRId64,
		                set->name, i, set->min, set->max);
	return 0;
}

int setting_kemi(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)i; /* nothing is kept of a text */
	return s.n == 0 ? 0 : diag_err(reterr, -ENOTSUP, 0, "%s names a function of an embedded language (KEMI), and no such language is here: write "
				       "event_route[%s] instead", set->name, set->def_str);
}

int settings_set(const struct setting *set, void *conf, bool is_int, int64_t i, struct str s,
                 struct diag *reterr)
{
	int err = settings_check(set, is_int, i, reterr);

	if (err < 0)
		return err;
	switch (set->type) {
	case SETTING_INT_T:
		*int_at(set, conf) = (int)i;
		return 0;
	case SETTING_STR_T:
		*str_at(set, conf) = s;
		return 0;
	default:
		return set->fn(conf, set, i, s, reterr);
	}
}
