/* SPDX-License-Identifier: BSD-2-Clause */
/* Definitions of tables: "name=>size=8;autoexpire=300;cols='key,c1,c2'". One row of the table below is one attribute. */
#include <errno.h>

#include "core/base/num.h"
#include "modules/htable/table.h"

typedef int attr_fn(struct ht_def *def, struct str v, struct diag *reterr);

static int number(struct str v, uint32_t max, const char *what, uint32_t *ret, struct diag *reterr)
{
	uint32_t n = 0;

	if (num_u32(v, &n) < 0 || n > max)
		return diag_set(reterr, 0, "%s=\"%.*s\": expected a number, 0 to %u", what, STR_FMT(v), max);
	*ret = n;
	return 0;
}

static int attr_size(struct ht_def *def, struct str v, struct diag *reterr)
{
	uint32_t n = 0;
	int err = number(v, 1000, "size", &n, reterr);

	if (err < 0)
		return err;
	def->size = n;
	def->n_slots = n <= 1 ? 8 : n > 31 ? 16384 : n > 20 ? 1u << 20 : 1u << n;
	return 0;
}

static int attr_autoexpire(struct ht_def *def, struct str v, struct diag *reterr)
{
	return number(v, INT32_MAX, "autoexpire", &def->autoexpire_s, reterr);
}

static int attr_initval(struct ht_def *def, struct str v, struct diag *reterr)
{
	int64_t n;

	if (num_i64(v, &n) < 0)
		return diag_set(reterr, 0, "initval=\"%.*s\": expected a number", STR_FMT(v));
	def->initval = n;
	def->has_initval = true;
	return 0;
}

static int attr_updateexpire(struct ht_def *def, struct str v, struct diag *reterr)
{
	uint32_t n = 0;
	int err = number(v, INT32_MAX, "updateexpire", &n, reterr);

	if (err == 0)
		def->updateexpire = n != 0;
	return err;
}

static int attr_dbtable(struct ht_def *def, struct str v, struct diag *reterr)
{
	if (v.n > 64)
		return diag_set(reterr, 0, "dbtable: over 64 bytes");
	def->dbtable = v;
	return 0;
}

static int attr_cols(struct ht_def *def, struct str v, struct diag *reterr)
{
	def->n_cols = 0;
	while (v.n) {
		ptrdiff_t comma = str_find_char(v, ',');
		struct str col = str_trim(str_sub(v, 0, comma < 0 ? v.n : (size_t)comma));

		v = comma < 0 ? STR_NULL : str_sub(v, (size_t)comma + 1, v.n);
		if (col.n == 0 || col.n > 64 || def->n_cols == HT_COLS_MAX)
			return diag_set(reterr, 0, "cols: expected 'key,value[,value...]', at most %u names", HT_COLS_MAX);
		def->cols[def->n_cols++] = col;
	}
	if (def->n_cols == 1)
		return diag_set(reterr, 0, "cols: no value column");
	return 0;
}

static int attr_dbmode(struct ht_def *def, struct str v, struct diag *reterr)
{
	return number(v, 1, "dbmode", &def->dbmode, reterr);
}

static int attr_dmqreplicate(struct ht_def *def, struct str v, struct diag *reterr)
{
	uint32_t n = 0;
	int err = number(v, INT32_MAX, "dmqreplicate", &n, reterr);

	(void)def;
	if (err == 0 && n != 0)
		return diag_set(reterr, 0, "dmqreplicate=%u: this server does not speak DMQ yet, so the table would not be replicated", n);
	return err;
}

static int attr_coldelim(struct ht_def *def, struct str v, struct diag *reterr)
{
	if (v.n != 1)
		return diag_set(reterr, 0, "coldelim: expected one character");
	def->coldelim = v;
	return 0;
}

static int attr_colnull(struct ht_def *def, struct str v, struct diag *reterr)
{
	if (v.n > 1)
		return diag_set(reterr, 0, "colnull: expected at most one character");
	def->colnull = v;
	return 0;
}

static int attr_reloadat(struct ht_def *def, struct str v, struct diag *reterr)
{
	return number(v, 86400 * 365, "reloadat", &def->reloadat_s, reterr);
}

/* clang-format off */
static const struct {
	const char *name;
	attr_fn *fn;
} attrs[] = {
	{ "size",         attr_size },
	{ "autoexpire",   attr_autoexpire },
	{ "initval",      attr_initval },
	{ "updateexpire", attr_updateexpire },
	{ "dbtable",      attr_dbtable },
	{ "cols",         attr_cols },
	{ "dbmode",       attr_dbmode },
	{ "dmqreplicate", attr_dmqreplicate },
	{ "coldelim",     attr_coldelim },
	{ "colnull",      attr_colnull },
	{ "reloadat",     attr_reloadat },
};
/* clang-format on */

/* Takes "value", 'value' or all up to the next ';'. */
static int take_value(struct str *text, struct str *ret, struct diag *reterr)
{
	ptrdiff_t end;

	*text = str_trim(*text);
	if (text->n && (text->s[0] == '\'' || text->s[0] == '"')) {
		struct str rest = str_sub(*text, 1, text->n);

		end = str_find_char(rest, text->s[0]);
		if (end < 0)
			return diag_set(reterr, 0, "a quote is not closed");
		*ret = str_sub(rest, 0, (size_t)end);
		*text = str_trim(str_sub(rest, (size_t)end + 1, rest.n));
		if (text->n && text->s[0] != ';')
			return diag_set(reterr, 0, "';' expected behind a quoted value");
		*text = str_sub(*text, 1, text->n);
		return 0;
	}
	end = str_find_char(*text, ';');
	*ret = str_trim(str_sub(*text, 0, end < 0 ? text->n : (size_t)end));
	*text = end < 0 ? STR_NULL : str_sub(*text, (size_t)end + 1, text->n);
	return 0;
}

static int attr_set(struct ht_def *def, struct str name, struct str v, struct diag *reterr)
{
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		if (str_eq(name, str_lit(attrs[i].name)))
			return attrs[i].fn(def, v, reterr);
	}
	return diag_set(reterr, 0, "unknown attribute \"%.*s\" of table \"%.*s\"", STR_FMT(name), STR_FMT(def->name));
}

int ht_def_parse(struct str text, struct ht_def *ret_def, struct diag *reterr)
{
	struct ht_def def = { .size = 4, .n_slots = 16, .updateexpire = true, .coldelim = STR_LIT(","), .colnull = STR_LIT("*") };
	ptrdiff_t arrow = str_find(text, STR_LIT("=>"));
	int err;

	def.name = str_trim(str_sub(text, 0, arrow < 0 ? text.n : (size_t)arrow));
	if (def.name.n == 0 || def.name.n > 64)
		return diag_set(reterr, 0, "name of a table expected, 1 to 64 bytes, before \"=>\"");
	text = arrow < 0 ? STR_NULL : str_sub(text, (size_t)arrow + 2, text.n);
	for (text = str_trim(text); text.n; text = str_trim(text)) {
		ptrdiff_t eq;
		struct str name, v;

		if (text.s[0] == ';') {
			text = str_sub(text, 1, text.n);
			continue;
		}
		eq = str_find_char(text, '=');
		if (eq <= 0)
			return diag_set(reterr, 0, "attribute=value expected at \"%.*s\"", STR_FMT(text));
		name = str_trim(str_sub(text, 0, (size_t)eq));
		text = str_sub(text, (size_t)eq + 1, text.n);
		err = take_value(&text, &v, reterr);
		if (err == 0)
			err = attr_set(&def, name, v, reterr);
		if (err < 0)
			return err;
	}
	*ret_def = def;
	return 0;
}
