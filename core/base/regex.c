/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiles and runs expressions with PCRE2. Patterns come from scripts, but what they are run on
 * comes from the network: a match that needs too many steps or too much memory is given up with an
 * error.
 *
 * POSIX wants the longest of the matches that start leftmost, a backtracking matcher gives the
 * first it finds. Where the two may differ and somebody asked for positions, PCRE's other matcher
 * (which walks all alternatives at once but knows no groups) tells the longest end, and the groups
 * are then taken from a second run that must end there.
 */
#include "core/base/regex.h"

#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/hashfn.h"
#include "core/base/regex_priv.h"
#include "core/base/strbuf.h"

#define PATTERN_MAX ((size_t)32 * 1024)
#define STEPS_MAX 1000000u
#define HEAP_MAX_KIB 8192u
#define JIT_STACK_MIN ((size_t)32 * 1024)
#define JIT_STACK_MAX ((size_t)512 * 1024)
#define LONGEST_WORKSPACE 2048u
#define CACHE_SLOTS 128u

struct regex {
	pcre2_code *code;
	bool longest; /* first found may not be longest */
};

/* Per process: what a match needs, made on first use. */
static pcre2_match_context *match_context;
static pcre2_match_data *match_data;

static int set_up(void)
{
	pcre2_jit_stack *stack = NULL;

	if (match_data)
		return 0;
	if (!match_context) {
		match_context = pcre2_match_context_create(NULL);
		if (!match_context)
			return -ENOMEM;
		(void)pcre2_set_match_limit(match_context, STEPS_MAX);
		(void)pcre2_set_heap_limit(match_context, HEAP_MAX_KIB);
		stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
		if (stack) /* else the 32 KiB of the machine stack must do */
			pcre2_jit_stack_assign(match_context, NULL, stack);
	}
	match_data = pcre2_match_data_create(REGEX_GROUPS, NULL);
	return match_data ? 0 : -ENOMEM;
}

static int compile_perl(struct str text, uint32_t options, struct regex *re, struct diag *reterr)
{
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR reason[120];
	PCRE2_SIZE at = 0;
	int code = 0;

	if (!cc)
		return -ENOMEM;
	(void)pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
	re->code =
	    pcre2_compile((PCRE2_SPTR)(text.n ? text.s : ""), text.n, options, &code, &at, cc);
	pcre2_compile_context_free(cc);
	if (!re->code) {
		if (pcre2_get_error_message(code, reason, sizeof(reason)) < 0)
			reason[0] = '\0';
		return diag_set(reterr, at, "%s", (const char *)reason);
	}
	(void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
	return 0;
}

int regex_compile(struct str pattern, unsigned flags, struct regex **ret_re, struct diag *reterr)
{
	uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
	struct regex *re;
	struct ere_info info = { 0 };
	struct strbuf text;
	int err;

	if (pattern.n > PATTERN_MAX)
		return diag_set(reterr, PATTERN_MAX, "pattern longer than %zu bytes", PATTERN_MAX);
	err = set_up();
	if (err < 0)
		return err;
	re = calloc(1, sizeof(*re));
	if (!re)
		return -ENOMEM;
	strbuf_init(&text, PATTERN_MAX * 8);
	if (flags & REGEX_ICASE)
		options |= PCRE2_CASELESS;
	if (flags & REGEX_PERL) {
		strbuf_add(&text, pattern);
		err = strbuf_err(&text) < 0 ? -ENOMEM : 0;
		options |= flags & REGEX_NEWLINE ? PCRE2_MULTILINE : 0;
		options |= flags & REGEX_DOTALL ? PCRE2_DOTALL : 0;
		options |= flags & REGEX_EXTENDED ? PCRE2_EXTENDED : 0;
	} else {
		err = ere_to_perl(pattern, flags, &text, &info, reterr);
		options |= PCRE2_DOLLAR_ENDONLY;
		options |=
		    flags & REGEX_NEWLINE ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : PCRE2_DOTALL;
		re->longest = info.has_choice && !info.has_backref;
	}
	if (err == 0)
		err = compile_perl(strbuf_str(&text), options, re, reterr);
	strbuf_done(&text);
	if (err < 0) {
		regex_free(re);
		return err;
	}
	*ret_re = re;
	return 0;
}

void regex_free(struct regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	free(re);
}

int regex_cached(struct str pattern, unsigned flags, const struct regex **ret_re,
                 struct diag *reterr)
{
	static struct {
		char *text;
		size_t n;
		unsigned flags;
		struct regex *re;
	} cache[CACHE_SLOTS];
	uint64_t slot = hashfn64_seed(pattern.s, pattern.n, flags) % CACHE_SLOTS;
	struct regex *re;
	char *text;
	int err;

	if (cache[slot].re && cache[slot].flags == flags &&
	    str_eq(str_of(cache[slot].text, cache[slot].n), pattern)) {
		*ret_re = cache[slot].re;
		return 0;
	}
	err = regex_compile(pattern, flags, &re, reterr);
	if (err < 0)
		return err;
	text = malloc(pattern.n ? pattern.n : 1);
	if (!text) {
		regex_free(re);
		return -ENOMEM;
	}
	if (pattern.n)
		memcpy(text, pattern.s, pattern.n);
	free(cache[slot].text);
	regex_free(cache[slot].re);
	cache[slot].text = text;
	cache[slot].n = pattern.n;
	cache[slot].flags = flags;
	cache[slot].re = re;
	*ret_re = re;
	return 0;
}

/*
 * Returns 1, 0, or -EMSGSIZE: whatever else PCRE refuses is a limit of some kind. ret_match may be
 * NULL. PCRE writes the groups up to the last that took part; those behind hold what the match
 * before left.
 */
static int run(const struct regex *re, struct str s, size_t from, uint32_t options,
               struct regex_match *ret_match)
{
	int rc = pcre2_match(re->code, (PCRE2_SPTR)(s.n ? s.s : ""), s.n, from, options, match_data,
	                     match_context);

	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(match_data);
	unsigned n =
	    rc > 0 ? (unsigned)rc : REGEX_GROUPS; /* 0: there are more groups than places */

	if (rc < 0)
		return rc == PCRE2_ERROR_NOMATCH ? 0 : -EMSGSIZE;
	for (unsigned i = 0; ret_match && i < REGEX_GROUPS; i++) {
		bool set = i < n && v[2 * i] != PCRE2_UNSET && v[2 * i + 1] != PCRE2_UNSET;

		ret_match->g[i].start = set ? (ptrdiff_t)v[2 * i] : -1;
		ret_match->g[i].end = set ? (ptrdiff_t)v[2 * i + 1] : -1;
	}
	return 1;
}

/* Makes m, a match that starts leftmost, the longest one there. When that cannot be found out, m
 * stays. */
static void make_longest(const struct regex *re, struct str s, struct regex_match *m)
{
	int workspace[LONGEST_WORKSPACE];
	size_t start = (size_t)m->g[0].start, end;
	int rc = pcre2_dfa_match(re->code, (PCRE2_SPTR)(s.n ? s.s : ""), s.n, start, PCRE2_ANCHORED,
	                         match_data, match_context, workspace, LONGEST_WORKSPACE);

	if (rc < 0)
		return;
	end = pcre2_get_ovector_pointer(match_data)[1];
	if (end <= (size_t)m->g[0].end)
		return;
	(void)run(re, str_sub(s, 0, end), start, PCRE2_ANCHORED | PCRE2_ENDANCHORED, m);
}

int regex_match(const struct regex *re, struct str s, size_t from, struct regex_match *ret_match)
{
	struct regex_match m;
	int ret;

	if (from > s.n)
		return 0;
	ret = set_up();
	if (ret < 0)
		return -EMSGSIZE;
	ret = run(re, s, from, 0, ret_match ? &m : NULL);
	if (ret != 1 || !ret_match)
		return ret;
	if (re->longest)
		make_longest(re, s, &m);
	*ret_match = m;
	return 1;
}

struct str regex_group(const struct regex_match *m, struct str s, unsigned i)
{
	if (i >= REGEX_GROUPS || m->g[i].start < 0)
		return STR_NULL;
	return str_sub(s, (size_t)m->g[i].start, (size_t)(m->g[i].end - m->g[i].start));
}
