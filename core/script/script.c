/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading: from a file to a generation that can run, with every error on the way told with file, line, column and the
 * line of source. A generation owns one pool; what the load itself needs is gone when it ends.
 */
#include "core/script/script_priv.h"

#include <fcntl.h>
#include <stdlib.h>

#include "core/base/file.h"
#include "core/base/regex.h"
#include "core/script/vm.h"

#define KEEP_MAX ((size_t)1 << 30)

static struct {
	struct loader *ld;           /* while a step of its load runs */
	const struct script *latest; /* read last: until one is set to run */
} reading;

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

static void end_regex(void *re)
{
	regex_free(re);
}

int script_regex(struct loader *ld, struct str text, unsigned flags, const struct regex **ret, struct diag *reterr)
{
	struct regex *re;
	int err = regex_compile(text, flags, &re, reterr);

	if (err < 0)
		return err;
	if (pool_on_end(ld->keep, end_regex, re) < 0) {
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

unsigned script_define_count(const struct script *s)
{
	unsigned n = 0;

	for (const struct define *d = s ? s->defines : NULL; d; d = d->next)
		n++;
	return n;
}

int script_define_at(const struct script *s, unsigned i, struct str *ret_name, struct str *ret_value)
{
	const struct define *d = s ? s->defines : NULL;

	while (d && i-- > 0)
		d = d->next;
	if (!d)
		return -ENOENT;
	*ret_name = d->name;
	*ret_value = d->has_value ? d->value : STR_NULL;
	return 0;
}

const struct script *script_names(void)
{
	if (reading.ld)
		return reading.ld->script;
	return vm_script() ? vm_script() : reading.latest;
}

static bool define_of_names(struct str name, struct str *ret_value)
{
	return script_define_find(script_names(), name, ret_value);
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
	if (!s)
		return;
	if (reading.latest == s)
		reading.latest = NULL;
	pool_free(s->pool);
	free(s);
}

struct script_load {
	struct loader ld;
	struct parsed parsed;
	struct lexer *lx;
	struct parser *parser;     /* NULL: nothing to parse */
	struct compiler *compiler; /* NULL: not yet, or not at all */
	bool parsing, over, own_disk;
	int err;
};

static int load_init(struct script_load *l, const struct script_opts *opts)
{
	struct loader *ld = &l->ld;

	ld->opts = opts;
	ld->errs_tail = &ld->errs;
	ld->script = calloc(1, sizeof(*ld->script));
	if (!ld->script)
		return -ENOMEM;
	ld->pool = pool_new(KEEP_MAX);
	ld->keep = ld->script->pool = pool_new(KEEP_MAX);
	l->own_disk = !opts->files;
	ld->disk = opts->files ? opts->files : script_files_new(AT_FDCWD, SCRIPT_FILES_ANY);
	return ld->pool && ld->keep && ld->disk ? 0 : -ENOMEM;
}

static void load_done(struct script_load *l)
{
	if (l->compiler)
		compiler_done(l->compiler);
	lexer_free(l->lx);
	pool_free(l->ld.pool);
	free(l->ld.files);
	if (l->own_disk)
		script_files_free(l->ld.disk);
	free(l);
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

/* Opens the text and defines what is defined beforehand. */
static int open_text(struct script_load *l)
{
	struct pos nowhere = { 0, 0, UINT16_MAX };
	int err;

	pv_set_defines(define_of_names);
	err = lexer_new(&l->ld, &l->lx);
	if (err < 0) {
		load_error(&l->ld, nowhere, "cannot read the script: %s", file_why(err));
		return err;
	}
	err = predefine(&l->ld, l->lx);
	if (err < 0)
		load_error(&l->ld, nowhere, "a define or substitution of the command line is not accepted");
	return err;
}

int script_load_begin(const struct script_opts *opts, struct script_load **ret_load)
{
	struct script_load *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	err = load_init(l, opts);
	if (err < 0) {
		script_free(l->ld.script);
		load_done(l);
		return err;
	}
	reading.ld = &l->ld;
	l->err = open_text(l);
	if (l->err == 0) {
		l->parser = parser_new(&l->ld, l->lx, &l->parsed);
		l->parsing = l->parser != NULL;
		l->err = l->parser ? 0 : -ENOMEM;
	}
	reading.ld = NULL;
	*ret_load = l;
	return 0;
}

static bool step(struct script_load *l)
{
	struct loader *ld = &l->ld;

	if (l->parsing) {
		if (parser_step(l->parser))
			return true;
		l->parsing = false;
		ld->parse_failed = ld->n_errors > 0;
		if (ld->stop || (ld->parse_failed && !ld->opts->all_errors))
			return false;
		l->compiler = compiler_new(ld, &l->parsed);
		if (!l->compiler)
			l->err = -ENOMEM;
		return l->compiler != NULL;
	}
	return l->compiler && compiler_step(l->compiler);
}

bool script_load_step(struct script_load *l)
{
	bool more;

	reading.ld = &l->ld;
	more = l->err == 0 && step(l);
	reading.ld = NULL;
	l->over = !more;
	return more;
}

int script_load_end(struct script_load *l, struct script **ret_script, struct script_err **ret_errs)
{
	struct script *s = l->ld.script;
	int err = l->over ? l->err : -ECANCELED;

	if (err == 0 && l->ld.n_errors > 0)
		err = -EBADMSG;
	if (err == 0)
		err = keep_files(&l->ld);
	*ret_errs = l->ld.errs;
	load_done(l);
	if (err < 0) {
		script_free(s);
		return err;
	}
	reading.latest = s;
	*ret_script = s;
	return 0;
}

bool script_load_place(struct str *ret_file, unsigned *ret_line, unsigned *ret_column)
{
	const struct loader *ld = reading.ld;

	if (!ld || ld->item.file >= ld->n_files)
		return false;
	*ret_file = ld->files[ld->item.file].name;
	*ret_line = ld->item.line;
	*ret_column = ld->item.column;
	return true;
}

int script_load(const struct script_opts *opts, struct script **ret_script, struct script_err **ret_errs)
{
	struct script_load *l;
	int err = script_load_begin(opts, &l);

	if (err < 0) {
		*ret_errs = NULL;
		return err;
	}
	while (script_load_step(l))
		;
	return script_load_end(l, ret_script, ret_errs);
}

int script_preprocess(const struct script_opts *opts, FILE *out, struct script_err **ret_errs)
{
	struct script_load *l;
	struct token tok = { 0 };
	struct script *s = NULL;
	int err;

	*ret_errs = NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	err = load_init(l, opts);
	if (err == 0) {
		reading.ld = &l->ld;
		err = open_text(l);
	}
	if (err == 0) {
		lexer_echo(l->lx, out);
		do {
			lexer_next(l->lx, &tok);
		} while (tok.kind != T_EOF && !l->ld.stop);
		if (l->ld.n_errors > 0)
			err = -EBADMSG;
	}
	reading.ld = NULL;
	s = l->ld.script;
	*ret_errs = l->ld.errs;
	load_done(l);
	script_free(s);
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
