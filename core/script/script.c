/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading: from a file to a generation that can run, with every error on the way told with file, line, column and the
 * line of source. A generation owns one pool; what the load itself needs is gone when it ends.
 */
#include "core/script/script_priv.h"

#include <stdlib.h>

#include "core/base/regex.h"

#define KEEP_MAX ((size_t)1 << 30)

static const struct script *current; /* whose defines $def() sees: the one that is read, or was read last */

/* ---- memory of a load ---- */

struct str load_dup(struct loader *ld, struct str s)
{
	struct str d = str_dup(ld->keep, s.n > 0 ? s : STR_LIT(""));

	if (!d.s) {
		load_error(ld, (struct pos){ 1, 1, 0 }, "out of memory");
		ld->stop = true;
		return STR_LIT("");
	}
	return d;
}

struct ctx *load_dummy_ctx(struct loader *ld)
{
	static const char bytes[] = "OPTIONS sip:you@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKdummy\r\n"
				    "From: <sip:you@localhost>;tag=dummy\r\nTo: <sip:you@localhost>\r\nCall-ID: dummy\r\n"
				    "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
	struct ctx *ctx = pool_zalloc(ld->pool, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->pool = ld->pool;
	ctx->kind = CTX_REQUEST;
	ctx->mflags = CTX_F_FAKED;
	if (sip_msg_parse(ld->pool, STR_LIT(bytes), &ctx->msg, NULL) < 0)
		return NULL;
	return ctx;
}

int script_own(struct loader *ld, struct regex *re, struct regex_subst *subst)
{
	struct owned *o = pool_zalloc(ld->keep, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->re = re;
	o->subst = subst;
	o->next = ld->script->owned;
	ld->script->owned = o;
	return 0;
}

int script_regex(struct loader *ld, struct str text, bool icase, const struct regex **ret, struct diag *reterr)
{
	struct regex *re;
	int err = regex_compile(text, REGEX_NEWLINE | (icase ? REGEX_ICASE : 0), &re, reterr);

	if (err < 0)
		return err;
	if (script_own(ld, re, NULL) < 0) {
		regex_free(re);
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	}
	*ret = re;
	return 0;
}

/* ---- defines ---- */

bool script_define_find(const struct script *s, struct str name, struct str *ret_value)
{
	const struct define *d;

	for (d = s ? s->defines : NULL; d; d = d->next) {
		if (str_eq(d->name, name)) {
			*ret_value = d->value;
			return true;
		}
	}
	return false;
}

static bool define_of_current(struct str name, struct str *ret_value)
{
	return script_define_find(current, name, ret_value);
}

static int predefine(struct loader *ld, struct lexer *lx)
{
	const char *v = ld->opts->version ? ld->opts->version : "6.2.0";
	unsigned major = 6, minor = 2, patch = 0, i;
	char name[64], number[32];
	int err;

	if (sscanf(v, "%u.%u.%u", &major, &minor, &patch) < 1)
		return -EINVAL;
	snprintf(name, sizeof(name), "KAMAILIO_%u", major);
	err = lexer_define(lx, str_lit(name), STR_NULL, false, true);
	snprintf(name, sizeof(name), "KAMAILIO_%u_%u", major, minor);
	if (err == 0)
		err = lexer_define(lx, str_lit(name), STR_NULL, false, true);
	snprintf(name, sizeof(name), "KAMAILIO_%u_%u_%u", major, minor, patch);
	if (err == 0)
		err = lexer_define(lx, str_lit(name), STR_NULL, false, true);
	snprintf(number, sizeof(number), "%u", major * 1000000 + minor * 1000 + patch);
	if (err == 0)
		err = lexer_define(lx, STR_LIT("KAMAILIO_VERSION"), str_lit(number), true, true);
	if (err == 0)
		err = lexer_define(lx, STR_LIT("OS_NAME"), STR_LIT("\"linux\""), true, true);
	for (i = 0; i < ld->opts->n_defines && err == 0; i++) {
		const struct script_define *d = &ld->opts->defines[i];

		err = lexer_define(lx, d->name, d->value, d->has_value, true);
	}
	for (i = 0; i < ld->opts->n_substs && err == 0; i++) {
		struct str text = str_lit(ld->opts->substs[i]);
		ptrdiff_t blank = str_find_char(text, ' ');

		if (blank > 0)
			err = lexer_subst_add(lx, (struct pos){ 1, 1, UINT16_MAX }, str_sub(text, 0, (size_t)blank),
					      str_sub(text, (size_t)blank + 1, text.n));
	}
	return err;
}

/* ---- loading ---- */

void script_free(struct script *s)
{
	struct owned *o;

	if (!s)
		return;
	if (current == s)
		current = NULL;
	for (o = s->owned; o; o = o->next) {
		regex_free(o->re);
		regex_subst_free(o->subst);
	}
	pool_free(s->pool);
	free(s);
}

static int loader_begin(struct loader *ld, const struct script_opts *opts)
{
	*ld = (struct loader){ .opts = opts };
	ld->errs_tail = &ld->errs;
	ld->script = calloc(1, sizeof(*ld->script));
	if (!ld->script)
		return -ENOMEM;
	ld->pool = pool_new(KEEP_MAX);
	ld->keep = ld->script->pool = pool_new(KEEP_MAX);
	if (!ld->pool || !ld->keep)
		return -ENOMEM;
	return 0;
}

static void loader_done(struct loader *ld)
{
	pool_free(ld->pool);
	free(ld->files);
}

static int keep_files(struct loader *ld)
{
	unsigned i;

	ld->script->files = pool_alloc(ld->keep, (ld->n_files + 1) * sizeof(*ld->script->files));
	if (!ld->script->files)
		return -ENOMEM;
	for (i = 0; i < ld->n_files; i++)
		ld->script->files[i] = ld->files[i].name;
	ld->script->n_files = ld->n_files;
	return 0;
}

int script_load(const struct script_opts *opts, struct script **ret_script, struct script_err **ret_errs)
{
	struct parsed parsed = { 0 };
	struct lexer *lx = NULL;
	struct loader ld;
	int err = loader_begin(&ld, opts);

	if (err == 0) {
		flags_clear();
		current = ld.script;
		pv_set_defines(define_of_current);
		err = lexer_new(&ld, &lx);
		if (err < 0)
			load_error(&ld, (struct pos){ 0, 0, UINT16_MAX }, "cannot read the script: %s", strerror(-err));
	}
	if (err == 0) {
		err = predefine(&ld, lx);
		if (err < 0)
			load_error(&ld, (struct pos){ 0, 0, UINT16_MAX }, "a define or substitution of the command line is not accepted");
	}
	if (err == 0) {
		err = parse_script(&ld, lx, &parsed);
		ld.parse_failed = err < 0;
		if (!ld.stop && (err == 0 || opts->all_errors))
			compile_script(&ld, &parsed);
		if (ld.n_errors > 0)
			err = -EBADMSG;
	}
	if (err == 0)
		err = keep_files(&ld);
	lexer_free(lx);
	loader_done(&ld);
	*ret_errs = ld.errs;
	if (err < 0) {
		script_free(ld.script);
		return err;
	}
	*ret_script = ld.script;
	return 0;
}

int script_preprocess(const struct script_opts *opts, FILE *out, struct script_err **ret_errs)
{
	struct lexer *lx = NULL;
	struct token tok = { 0 };
	struct loader ld;
	int err = loader_begin(&ld, opts);

	if (err == 0) {
		current = ld.script;
		pv_set_defines(define_of_current);
		err = lexer_new(&ld, &lx);
	}
	if (err < 0)
		load_error(&ld, (struct pos){ 0, 0, UINT16_MAX }, "cannot read the script: %s", strerror(-err));
	else
		err = predefine(&ld, lx);
	if (err == 0) {
		lexer_echo(lx, out);
		do {
			lexer_next(lx, &tok);
		} while (tok.kind != T_EOF && !ld.stop);
		if (ld.n_errors > 0)
			err = -EBADMSG;
	}
	lexer_free(lx);
	loader_done(&ld);
	script_free(ld.script);
	*ret_errs = ld.errs;
	return err;
}

/* ---- routes ---- */

int script_route_find(const struct script *s, enum ctx_kind kind, struct str name)
{
	uint32_t i;

	for (i = 0; i < s->code.n_routes; i++) {
		const struct route_code *r = &s->code.routes[i];

		if ((r->kind & kind) && !r->is_block && str_eq(r->name, name))
			return (int)i;
	}
	return -1;
}

struct str script_route_name(const struct script *s, int route)
{
	if (route < 0 || (uint32_t)route >= s->code.n_routes)
		return STR_NULL;
	return s->code.routes[route].name;
}
