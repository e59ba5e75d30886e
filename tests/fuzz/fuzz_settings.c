/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of parameters, as operators write them and as RPC sets them: the first byte says which reader gets the rest. What is
 * refused says why; what is taken is inside its range.
 */
#include <errno.h>

#include "core/base/num.h"
#include "core/base/regex.h"
#include "core/base/secret.h"
#include "core/base/strbuf.h"
#include "core/net/addr.h"
#include "core/settings/schema.h"
#include "modules/htable/table.h"
#include "modules/pv/pv_priv.h"
#include "tests/fuzz/fuzz.h"

struct conf {
	int small, any;
	struct str text, key;
	unsigned n_calls;
};

static int repeat(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct conf *c = conf;

	(void)set, (void)i;
	c->n_calls++;
	return s.n % 7 == 6 ? diag_set(reterr, 0, "no") : 0;
}

static const struct setting table[] = {
	SETTING_INT("small", struct conf, small, 3, -5, 9),
	SETTING_INT("any", struct conf, any, 0, INT_MIN, INT_MAX),
	SETTING_STR("text", struct conf, text, "default"),
	SETTING_SECRET("key", struct conf, key, ""),
	SETTING_FN_INT("fn_int", repeat),
	SETTING_FN_STR("fn_str", repeat),
	SETTING_KEMI("kemi", "x:y"),
	SETTING_END
};

/* What may be shown of it: of a secret nothing. */
static void show(const struct setting *set, struct str value)
{
	char text[3 * 4096 + 16]; /* each "a://b:c@" gets at most 3 bytes longer */
	struct strbuf sb;

	strbuf_init_fixed(&sb, text, sizeof(text));
	settings_show(set, value, &sb);
	fuzz_require(!sb.failed && (!set->secret || value.n == 0 || str_eq(strbuf_str(&sb), STR_LIT(SECRET_SHOWN))));
}

static void set_one(struct str in)
{
	ptrdiff_t eq = str_find_char(in, '=');
	struct str value = eq < 0 ? STR_NULL : str_sub(in, (size_t)eq + 1, in.n);
	const struct setting *set = settings_find(table, eq < 0 ? in : str_sub(in, 0, (size_t)eq));
	struct conf c;
	struct diag d = { 0 };
	int64_t i = 0;
	bool is_int = num_i64(value, &i) == 0;

	settings_defaults(table, &c);
	if (!set) {
		fuzz_require(settings_check(&table[ARRAY_LEN(table) - 1], is_int, i, &d) < 0 && d.text[0]);
		return;
	}
	show(set, value);
	if (settings_set(set, &c, is_int, i, value, &d) < 0)
		fuzz_require(d.text[0] != '\0');
	fuzz_require(c.small >= -5 && c.small <= 9);
}

static void numbers(struct str in)
{
	uint32_t u;
	int64_t i;

	if (num_u32(in, &u) == 0)
		fuzz_require(num_i64(in, &i) == 0 && i == (int64_t)u);
	if (num_i64(in, &i) == 0) {
		char text[32];
		int64_t again;
		int n = snprintf(text, sizeof(text), "%lld", (long long)i);

		fuzz_require(num_i64(str_of(text, (size_t)n), &again) == 0 && again == i);
	}
}

static void addresses(struct str in)
{
	struct net_addr a, again;
	char text[NET_ADDR_TEXT_MAX];

	if (net_addr_parse(in, 5060, &a) < 0)
		return;
	fuzz_require(net_addr_parse(str_of(text, net_addr_ip_text(&a, false, text)), 5060, &again) == 0);
	fuzz_require(net_addr_equal(&a, &again));
}

static void tables(struct str in)
{
	struct ht_def def = { 0 };
	struct diag d = { 0 };

	if (ht_def_parse(in, &def, &d) < 0) {
		fuzz_require(d.text[0] != '\0');
		return;
	}
	fuzz_require(def.name.n > 0 && fuzz_inside(def.name, in) && def.n_cols <= HT_COLS_MAX && def.n_slots > 0 && def.dbtable.n <= 64);
}

static void variables(struct str in)
{
	struct diag d = { 0 };
	struct pv_xref ref;
	struct value v;
	struct str name;

	if (pv_init_parse(in, &name, &v, &d) < 0)
		fuzz_require(d.text[0] != '\0');
	else
		fuzz_require(name.n > 0 && fuzz_inside(name, in));
	d.text[0] = '\0';
	if (pv_xref_parse(in, &ref, &d) < 0)
		fuzz_require(d.text[0] != '\0');
	else
		fuzz_require(fuzz_inside(ref.root, in) && fuzz_inside(ref.field, in));
}

/* Up to the first line end the expression, behind it a text. */
static void expressions(struct str in, int flags)
{
	ptrdiff_t lf = str_find_char(in, '\n');
	struct str text = lf < 0 ? in : str_sub(in, (size_t)lf + 1, in.n), re_text = lf < 0 ? in : str_sub(in, 0, (size_t)lf);
	struct diag d = { 0 };
	struct regex *re;

	if (regex_compile(re_text, (unsigned)flags, &re, &d) < 0) {
		fuzz_require(d.text[0] != '\0');
		return;
	}
	for (size_t from = 0, n = 0; from <= text.n && n < 8; n++) {
		struct regex_match m;

		if (regex_match(re, text, from, &m) <= 0)
			break;
		fuzz_require(m.g[0].start >= (ptrdiff_t)from && m.g[0].end >= m.g[0].start && m.g[0].end <= (ptrdiff_t)text.n);
		for (unsigned i = 0; i < REGEX_GROUPS; i++)
			fuzz_require(fuzz_inside(regex_group(&m, text, i), text));
		from = (size_t)m.g[0].end + (m.g[0].end == m.g[0].start);
	}
	regex_free(re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in;

	if (size == 0 || size > 4096)
		return 0;
	in = fuzz_copy(data + 1, size - 1);
	switch (data[0] % 7) {
	case 0:
		set_one(in);
		break;
	case 1:
		numbers(in);
		break;
	case 2:
		addresses(in);
		break;
	case 3:
		tables(in);
		break;
	case 4:
		variables(in);
		break;
	case 5:
		expressions(in, 0);
		break;
	default:
		expressions(in, REGEX_ICASE | REGEX_NEWLINE);
		break;
	}
	fuzz_free(in);
	return 0;
}
