/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions: compared with what the C library's regcomp(3) says, since scripts were written
 * against it; limits; substitution.
 */
#include "core/base/regex.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>

#include "core/base/strbuf.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const char *const patterns[] = {
	"", "a", "*a", "(*a)", "a|*b", "a)", "a{,3}", "a{1", "a{x", "a{}", "a{,}", "a{2}", "a{2,}", "a{2,1}", "a**",
	"a+?", "(a+)+b", "()", "a||b", "^*a", "(?:a)", "(?i)a", "(*UTF)a", "\\d", "[\\d]", "a{1,2}{2}", "{1}a",
	"[a", "[]a]", "[^]a]", "[z-a]", "[[:foo:]]", "[[:digit:]]+", "[^[:alpha:]]", "[[:alpha:]_]*", "a\\", "a$b",
	"$*", "(^a)*", "a|", "|a", "(|a)", "\\(", "\\{", "a\\{1}", "[[.-.]]", "[[=a=]b]", "[a-]", "[--/]", "(a)\\2",
	"(a)\\1", "((a)\\2)", "(a\\1)", "\\<a", "b\\>", "\\w+", "\\W", "\\s", "\\S+", "\\bb", "\\Bb", "\\`a", "b\\'", "+a", "?",
	"[[:alpha:]-z]", "[a-[:alpha:]]", "\\*", "^+", "\\b*", ".", "a.b", "a.*b", "^b", "a$", "^$", "[^x]", "[^a-z]+",
	"(a|ab)(c|bcd)", "(a|ab)(bcd|c)?", "a?(ab)?", "a|ab|abc", "(a*)(ab)*", "x*xy?", "(ab|a)(bc)?", "a\nb", "a#b", "a b",
	"^sip:[0-9]{2,4}@.*\\.example\\.com$", "^\\+?49(1[5-7]|2)[0-9]*", "[.]", "[*+?{}()|^$]", "[a\\]b]", "\\/", "\\.",
	"(((((a)))))", "((a)|(b))*", "[A-Z]+", "2[0-9][0-9]", "\\n", "[\\n]", "]", "}", "a}", "a-b", "\\-", "~", "[!-~]+",
};
static const char *const subjects[] = {
	"", "a", "A", "aa", "aaa", "aaaab", "ab", "abc", "abcd", "abab", "b", "ba", "a)", "a{1", "a{1}", "a{,3}", "a{x", "d", "5", "\\", "-",
	"a-b", "a\nb", "b\na", "\n", "a\n", "\na", "a b", "a#b", "*a", "?", "+", ".", "a.b", "axb", "xxy", "x\ty", "sip:123@h.example.com",
	"sip:1@h.example.com", "+4916012345", "493", "200", "299", "n", "]", "[a]", "}", "a}", "_x1", "aab", "aabab", "~", "(?:a)",
};
static const unsigned flag_sets[] = { 0, REGEX_ICASE, REGEX_NEWLINE, REGEX_ICASE | REGEX_NEWLINE };
/* clang-format on */

START_TEST(agrees_with_the_c_library)
{
	for (size_t f = 0; f < ARRAY_LEN(flag_sets); f++) {
		unsigned flags = flag_sets[f];
		const char *p = patterns[_i];
		struct regex *re = NULL;
		regex_t libc_re;
		int theirs = regcomp(&libc_re, p,
		                     REG_EXTENDED | (flags & REGEX_ICASE ? REG_ICASE : 0) |
		                         (flags & REGEX_NEWLINE ? REG_NEWLINE : 0));
		int ours = regex_compile(str_lit(p), flags, &re, NULL);

		ck_assert_msg((ours == 0) == (theirs == 0), "'%s': %d, theirs %d", p, ours, theirs);
		/* glibc never matches an escaped letter when case is ignored; we take the letter.
		 */
		if ((flags & REGEX_ICASE) && (strcmp(p, "\\d") == 0 || strcmp(p, "\\n") == 0))
			theirs = -1;
		for (size_t i = 0; ours == 0 && theirs == 0 && i < ARRAY_LEN(subjects); i++) {
			struct str s = str_lit(subjects[i]);
			struct regex_match m;
			regmatch_t t;
			int them = regexec(&libc_re, subjects[i], 1, &t, 0) == 0;

			ck_assert_int_eq(regex_match(re, s, 0, NULL), them);
			ck_assert_int_eq(regex_match(re, s, 0, &m), them);
			if (them)
				ck_assert_msg(m.g[0].start == t.rm_so && m.g[0].end == t.rm_eo,
				              "'%s' on '%s' flags %u: %td-%td, theirs %d-%d", p,
				              subjects[i], flags, m.g[0].start, m.g[0].end, t.rm_so,
				              t.rm_eo);
		}
		if (theirs <= 0)
			regfree(&libc_re);
		regex_free(re);
	}
}
END_TEST

/* Patterns made of pieces at random (a fixed sequence): still the same as the C library. */
START_TEST(agrees_on_random_patterns)
{
	static const char *const pieces[] = {
		"a", "b", "c", ".",   "(a|ab)", "(b|bc)", "[ab]", "[^a]", "(",    ")",   "|",
		"*", "+", "?", "{2}", "{1,2}",  "^",      "$",    "\\w",  "(ab)", "(c)?"
	};
	static const char *const texts[] = { "",       "a",   "abc",    "aabbcc",
		                             "abcabc", "bca", "ab\nab", "cab" };
	uint32_t x = 12345;

	for (int round = 0; round < 3000; round++) {
		char p[100] = "";
		size_t n = 0;
		struct regex *re = NULL;
		regex_t libc_re;
		int theirs;

		x = x * 1664525u + 1013904223u;
		for (unsigned k = 2 + (x >> 28) % 5; k > 0; k--) {
			const char *piece;

			x = x * 1664525u + 1013904223u;
			piece = pieces[(x >> 16) % ARRAY_LEN(pieces)];
			memcpy(p + n, piece, strlen(piece) + 1);
			n += strlen(piece);
		}
		theirs = regcomp(&libc_re, p, REG_EXTENDED | REG_NEWLINE);
		ck_assert_msg((regex_compile(str_lit(p), REGEX_NEWLINE, &re, NULL) == 0) ==
		                  (theirs == 0),
		              "'%s': theirs %d", p, theirs);
		for (size_t i = 0; theirs == 0 && i < ARRAY_LEN(texts); i++) {
			struct regex_match m;
			regmatch_t t;
			int them = regexec(&libc_re, texts[i], 1, &t, 0) == 0;
			int we = regex_match(re, str_lit(texts[i]), 0, &m);

			ck_assert_msg(we == them, "'%s' on '%s': %d", p, texts[i], we);
			if (them)
				ck_assert_msg(m.g[0].start == t.rm_so && m.g[0].end == t.rm_eo,
				              "'%s' on '%s': %td-%td, theirs %d-%d", p, texts[i],
				              m.g[0].start, m.g[0].end, t.rm_so, t.rm_eo);
		}
		if (theirs == 0)
			regfree(&libc_re);
		regex_free(re);
	}
}
END_TEST

START_TEST(groups)
{
	struct str s = STR_LIT("<sip:bob@h>");
	struct regex_match m;
	struct regex *re;

	ck_assert_int_eq(regex_compile(STR_LIT("(sips?):([^@]+)@(h)(x)?"), REGEX_ICASE, &re, NULL),
	                 0);
	ck_assert_int_eq(regex_match(re, s, 0, &m), 1);
	ck_assert(str_eq(regex_group(&m, s, 0), STR_LIT("sip:bob@h")));
	ck_assert(str_eq(regex_group(&m, s, 2), STR_LIT("bob")));
	ck_assert_ptr_null(regex_group(&m, s, 4).s);
	ck_assert_ptr_null(regex_group(&m, s, 9).s);
	ck_assert_ptr_null(regex_group(&m, s, 10).s);
	ck_assert_int_eq(regex_match(re, s, 2, &m), 0);
	ck_assert_int_eq(regex_match(re, s, 100, &m), 0);
	ck_assert_int_eq(regex_match(re, STR_NULL, 0, &m), 0);
	regex_free(re);
	regex_free(NULL);
}
END_TEST

START_TEST(perl_syntax)
{
	struct regex *re;

	ck_assert_int_eq(regex_compile(STR_LIT("^\\d+(?=x)"), REGEX_PERL, &re, NULL), 0);
	ck_assert_int_eq(regex_match(re, STR_LIT("12x"), 0, NULL), 1);
	ck_assert_int_eq(regex_match(re, STR_LIT("12y"), 0, NULL), 0);
	regex_free(re);
}
END_TEST

START_TEST(refusals_say_why)
{
	struct regex *re = NULL;
	struct diag d = { 0 };
	static char big[40000];

	ck_assert_int_eq(regex_compile(STR_LIT("ab(c"), 0, &re, &d), -EBADMSG);
	ck_assert_str_eq(d.text, "unmatched (");
	ck_assert_int_eq(regex_compile(STR_LIT("a(?<x"), REGEX_PERL, &re, &d), -EBADMSG);
	memset(big, '(', sizeof(big));
	ck_assert_int_eq(regex_compile(str_of(big, 1000), 0, &re, &d), -EBADMSG);
	ck_assert_int_eq(regex_compile(str_of(big, sizeof(big)), 0, &re, &d), -EBADMSG);
	ck_assert_int_eq(regex_compile(STR_LIT("(((a{9999}){9999}){9999})"), 0, &re, &d), -EBADMSG);
	ck_assert_ptr_null(re);
}
END_TEST

START_TEST(work_is_limited)
{
	static char text[20000];
	struct regex *re;
	int ret;

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(regex_compile(STR_LIT("(a+)+(b|a*c)$"), REGEX_PERL, &re, NULL), 0);
	ret = regex_match(re, str_of(text, sizeof(text)), 0, NULL);
	ck_assert(ret == -EMSGSIZE || ret == 0);
	regex_free(re);
}
END_TEST

START_TEST(cache_keeps_and_replaces)
{
	const struct regex *a, *b;
	char p[16];

	ck_assert_int_eq(regex_cached(STR_LIT("^a"), 0, &a, NULL), 0);
	ck_assert_int_eq(regex_cached(STR_LIT("^a"), 0, &b, NULL), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_int_eq(regex_cached(STR_LIT("^a"), REGEX_ICASE, &b, NULL), 0);
	ck_assert_int_eq(regex_match(b, STR_LIT("A"), 0, NULL), 1);
	ck_assert_int_eq(regex_cached(STR_LIT("("), 0, &b, NULL), -EBADMSG);
	for (int i = 0; i < 500; i++) {
		size_t n = 0;

		for (int v = i; n < 9; v /= 2)
			p[n++] = (char)('a' + v % 2);
		ck_assert_int_eq(regex_cached(str_of(p, n), 0, &b, NULL), 0);
		ck_assert_int_eq(regex_match(b, str_of(p, n), 0, NULL), 1);
	}
}
END_TEST

/* clang-format off */
static const struct subst { const char *expr, *in; int n; const char *out; } substs[] = {
	{ "/a/b/",              "aaa",       1,       "baa"        },
	{ "/a/b/g",             "aaa",       3,       "bbb"        },
	{ "/A/b/gi",            "aXa",       2,       "bXb"        },
	{ "/x/b/",              "aaa",       0,       ""           },
	{ "!DBURL!my://u:p@h!", "DBURL",     1,       "my://u:p@h" },
	{ "/(.)(.)/\\2\\1/g",   "abcde",     2,       "badce"      },
	{ "/b/[\\0]/",          "abc",       1,       "a[b]c"      },
	{ "/b/\\9/",            "abc",       1,       "ac"         },
	{ "/b/\\n\\r\\t\\\\\\$\\//", "abc",  1,       "a\n\r\t\\$/c" },
	{ "/a\\/b/c/",          "a/b",       1,       "c"          },
	{ "/^a/b/g",            "aa\na",     2,       "ba\nb"      },
	{ "/^a/b/gs",           "aa\na",     1,       "ba\na"      },
	{ "/a.c/x/",            "a\nc",      0,       ""           },
	{ "/a.c/x/s",           "a\nc",      1,       "x"          },
	{ "/a//g",              "banana",    3,       "bnn"        },
	{ "/x*/y/",             "abc",       -EINVAL, ""           },
	{ "/(a|ab)(c|bcd)?/x/", "abcd",      1,       "x"          },
	{ "/b/$var(x)-$var(x)/", "abc",      1,       "aV-Vc"      },
	{ "/b/\\u/",            "abc",       1,       "aRc"        },
	{ "/b/\\q/",            "abc",       1,       "a\\qc"      },
};
static const char *const bad_substs[] = {
	"", "/", "//", "/a/b", "\\a\\b\\", "/a/b/x", "/(/b/", "/a/$bad/", "/a/\\",
};
/* clang-format on */

static int parse_var(void *arg, struct str text, size_t *ret_len, void **ret_var,
                     struct diag *reterr)
{
	if (str_starts(text, STR_LIT("$var(x)")))
		*ret_len = 7;
	else if (str_starts(text, STR_LIT("$ru")))
		*ret_len = 3;
	else
		return diag_set(reterr, 0, "unknown variable");
	*ret_var = (char *)arg + *ret_len;
	return 0;
}

static int eval_var(void *arg, void *var, struct strbuf *out)
{
	strbuf_add_char(out, (char *)var - (char *)arg == 7 ? 'V' : 'R');
	return 0;
}

START_TEST(substitutes)
{
	const struct subst *v = &substs[_i];
	struct regex_subst *sub;
	struct diag d;
	char base[8];
	struct strbuf out;

	ck_assert_int_eq(regex_subst_parse(str_lit(v->expr), parse_var, base, &sub, &d), 0);
	strbuf_init(&out, 100);
	ck_assert_int_eq(regex_subst_run(sub, str_lit(v->in), eval_var, base, &out), v->n);
	if (v->n >= 0)
		ck_assert_msg(str_eq(strbuf_str(&out), str_lit(v->out)), "%s: %.*s", v->expr,
		              STR_FMT(strbuf_str(&out)));
	strbuf_done(&out);
	regex_subst_free(sub);
}
END_TEST

START_TEST(bad_substitutions)
{
	struct regex_subst *sub;
	struct diag d = { .text = "" };
	char base[8];

	ck_assert_int_eq(regex_subst_parse(str_lit(bad_substs[_i]), parse_var, base, &sub, &d),
	                 -EBADMSG);
	ck_assert_str_ne(d.text, "");
}
END_TEST

START_TEST(substitution_without_variables)
{
	struct regex_subst *sub;
	struct strbuf out;

	ck_assert_int_eq(regex_subst_parse(STR_LIT("/a/$x/g"), NULL, NULL, &sub, NULL), 0);
	ck_assert(str_eq(regex_subst_pattern(sub), STR_LIT("a")));
	ck_assert(str_eq(regex_subst_replacement(sub), STR_LIT("$x")));
	ck_assert(regex_subst_is_global(sub));
	strbuf_init(&out, 5);
	ck_assert_int_eq(regex_subst_run(sub, STR_LIT("aa"), NULL, NULL, &out), 2);
	ck_assert(str_eq(strbuf_str(&out), STR_LIT("$x$x")));
	ck_assert_int_eq(regex_subst_run(sub, STR_LIT("aa"), NULL, NULL, &out), -EMSGSIZE);
	strbuf_done(&out);
	regex_subst_free(sub);
	ck_assert_int_eq(regex_subst_parse(STR_LIT("/a/\\u/"), NULL, NULL, &sub, NULL), -EBADMSG);
	regex_subst_free(NULL);
}
END_TEST

START_TEST(no_memory_is_told)
{
	char base[8];
	const struct regex *cached;
	struct regex_subst *sub;
	struct regex *re;
	unsigned n;
	int err;

	ck_assert_int_eq(regex_compile(STR_LIT("x"), 0, &re, NULL), 0); /* what a process keeps */
	regex_free(re);
	for (n = 1; n < 1000; n++) {
		fail_alloc_at(n);
		err = regex_subst_parse(STR_LIT("/(a|b)[x]+/$ru/"), parse_var, base, &sub, NULL);
		if (err == 0)
			regex_subst_free(sub);
		if (!fail_alloc_end())
			break;
		ck_assert_int_eq(fail_alloc_held(), 0);
		ck_assert(err == -ENOMEM || err == -EBADMSG || err == 0); /* PCRE may do without */
	}
	ck_assert_int_eq(err, 0);
	for (n = 1; n < 1000; n++) {
		fail_alloc_at(n);
		err = regex_cached(STR_LIT("^never seen$"), 0, &cached, NULL);
		if (!fail_alloc_end() || err == 0)
			break;
	}
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(regex_match(cached, STR_LIT("never seen"), 0, NULL), 1);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("regex");
	TCase *tc = tcase_create("match"), *sc = tcase_create("subst");

	tcase_add_loop_test(tc, agrees_with_the_c_library, 0, ARRAY_LEN(patterns));
	tcase_add_test(tc, agrees_on_random_patterns);
	tcase_add_test(tc, groups);
	tcase_add_test(tc, perl_syntax);
	tcase_add_test(tc, refusals_say_why);
	tcase_add_test(tc, work_is_limited);
	tcase_add_test(tc, cache_keeps_and_replaces);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(sc, substitutes, 0, ARRAY_LEN(substs));
	tcase_add_loop_test(sc, bad_substitutions, 0, ARRAY_LEN(bad_substs));
	tcase_add_test(sc, substitution_without_variables);
	tcase_add_test(sc, no_memory_is_told);
	suite_add_tcase(s, sc);
	return s;
}
