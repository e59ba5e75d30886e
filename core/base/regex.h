/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions: POSIX extended syntax as scripts and their operators know it (glibc's dialect: \w \s \b \<,
 * leftmost longest), run by PCRE2's just-in-time code with limits on work and memory. Bytes, not characters.
 */
#ifndef RF_BASE_REGEX_H
#define RF_BASE_REGEX_H

#include "core/base/diag.h"
#include "core/base/str.h"

struct regex;
struct strbuf;

#define REGEX_GROUPS 10u

enum regex_flags {
	REGEX_ICASE = 1,
	REGEX_NEWLINE = 2,  /* each line for itself: ^ $ match at lines, "." and [^x] no newline; else "." matches all */
	REGEX_PERL = 4,     /* the pattern is in PCRE's own syntax; NEWLINE means (?m) */
	REGEX_DOTALL = 8,   /* PERL only: (?s) */
	REGEX_EXTENDED = 16, /* PERL only: (?x) */
};

struct regex_span {
	ptrdiff_t start, end; /* -1: the group took no part */
};

struct regex_match {
	struct regex_span g[REGEX_GROUPS]; /* 0: all of it */
};

/*
 * flags: bits of regex_flags. Returns 0; -EBADMSG with the reason when the pattern is refused; -ENOMEM.
 * Compile at load where the pattern is known: it takes some 50 us.
 */
MUST_CHECK int regex_compile(struct str pattern, unsigned flags, struct regex **ret_re, struct diag *reterr);
void regex_free(struct regex *re);
/*
 * As regex_compile() for patterns that are only known while running: the last ones used are kept. The result
 * belongs to the cache and is valid until the next call.
 */
MUST_CHECK int regex_cached(struct str pattern, unsigned flags, const struct regex **ret_re, struct diag *reterr);

/*
 * Looks for the first match that starts at `from` or later (0 to s.n). ret_match: NULL when only the
 * answer counts (faster). Returns 1 found, 0 not; -EMSGSIZE when a limit on work or memory was reached.
 * Context: the process's main thread.
 */
MUST_CHECK int regex_match(const struct regex *re, struct str s, size_t from, struct regex_match *ret_match);
/* View of group i in the text that was matched; s NULL when it took no part. */
struct str regex_group(const struct regex_match *m, struct str s, unsigned i);

/*
 * Substitution expressions "/regex/replacement/flags": any separator but a backslash; flags i (ignore
 * case), g (all), s (not line by line). The replacement knows \0 to \9, \n \r \t \\ \$, the escaped separator, \u
 * (the request URI) and variables.
 */
struct regex_subst;

/*
 * Prepares the variable at the start of text ("$..."). Returns 0 with its length and the caller's handle for
 * it; or a negative errno with the reason.
 */
typedef int regex_var_parse_fn(void *arg, struct str text, size_t *ret_len, void **ret_var, struct diag *reterr);
/* Appends the value of a variable. Returns 0 or a negative errno, which ends the substitution. */
typedef int regex_var_eval_fn(void *arg, void *var, struct strbuf *out);

/*
 * parse: NULL when there are no variables here ("$" is text, \u is refused). The handles of variables are the caller's to
 * free (they live in the pool of the script).
 * Returns 0; -EBADMSG with the reason; what parse returned; -ENOMEM.
 */
MUST_CHECK int regex_subst_parse(struct str expr, regex_var_parse_fn *parse, void *arg,
				 struct regex_subst **ret_subst, struct diag *reterr);
void regex_subst_free(struct regex_subst *subst);
/* The parts of the expression as written; live as long as subst. */
struct str regex_subst_pattern(const struct regex_subst *subst);
struct str regex_subst_replacement(const struct regex_subst *subst);
bool regex_subst_is_global(const struct regex_subst *subst);
/*
 * Finds the next place to replace from `from` on. Returns 1 or 0; -EINVAL when the pattern matches empty text
 * (there is no sensible substitution then); -EMSGSIZE.
 */
MUST_CHECK int regex_subst_next(const struct regex_subst *subst, struct str s, size_t from,
				struct regex_match *ret_match);
/* Appends the replacement for one match. eval may be NULL when there are no variables. */
MUST_CHECK int regex_subst_replace(const struct regex_subst *subst, struct str s, const struct regex_match *m,
				   regex_var_eval_fn *eval, void *arg, struct strbuf *out);
/*
 * The whole job: appends the changed text to out. Returns the number of replacements (0: nothing is appended,
 * the text stands as it is), or a negative errno.
 */
MUST_CHECK int regex_subst_run(const struct regex_subst *subst, struct str s, regex_var_eval_fn *eval, void *arg,
			       struct strbuf *out);

#endif
