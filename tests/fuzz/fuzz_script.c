/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler: whatever the text is, it is refused with a place and a reason, or gives code that verifies and can be
 * printed. Files that it includes are those of a list in memory, one of which includes itself; the environment holds one variable, E.
 * Nothing is run: a script may loop for long.
 */
#include <stdio.h>

#include "core/script/files.h"
#include "core/script/script_priv.h"
#include "tests/fuzz/fuzz.h"

static int fn(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	return 1;
}

static const struct script_func funcs[] = {
	{ .name = "f", .fn = fn, .kinds = CTX_ANY },
	{ .name = "f", .fn = fn, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "f", .fn = fn, .n_params = 2, .param = { SP_DINT, SP_PV }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "f", .fn = fn, .n_params = 3, .param = { SP_REGEX, SP_SUBST, SP_ROUTE }, .kinds = CTX_ANY, .route_kind = CTX_REQUEST },
	{ .name = "setflag", .fn = fn, .n_params = 1, .param = { SP_INT }, .kinds = CTX_ANY },
	{ .name = "forward", .fn = fn, .n_params = 2, .param = { SP_STR, SP_INT }, .kinds = CTX_ANY },
	{ .name = "log", .fn = fn, .n_params = 2, .param = { SP_INT, SP_STR }, .kinds = CTX_ANY },
	{ .name = NULL },
};

static int h_module(struct str name, struct str opts, struct diag *reterr)
{
	(void)name, (void)opts, (void)reterr;
	return 0;
}
static int h_path(struct str path, struct diag *reterr)
{
	(void)path, (void)reterr;
	return 0;
}
static int h_modparam(struct str m, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	(void)m, (void)is_int, (void)i, (void)s;
	return name.n == 1 ? diag_set(reterr, 0, "no") : 0;
}
static int h_param(struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	(void)is_int, (void)i, (void)s;
	return name.n == 1 ? diag_set(reterr, 0, "no") : 0;
}
static int h_listen(const struct net_listen_spec *spec, struct diag *reterr)
{
	(void)reterr;
	fuzz_require(spec->host.n > 0);
	return 0;
}
static int h_alias(enum sip_proto proto, struct str h, uint16_t port, struct diag *reterr)
{
	(void)proto, (void)port, (void)reterr;
	fuzz_require(h.n > 0);
	return 0;
}
static int h_custom(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc, struct diag *reterr)
{
	(void)id, (void)is_int, (void)i, (void)s, (void)desc, (void)reterr;
	fuzz_require(group.n > 0 && name.n > 0);
	return 0;
}

static const struct script_host host = { h_module, h_path, h_modparam, h_param, h_listen, h_alias, h_custom };

/* As one block, so that no other file is looked for. */
static struct str block;

static void files_make(void)
{
	struct script_files *f = script_files_new(-1, SCRIPT_FILES_REGULAR);

	fuzz_require(f != NULL && script_files_put(f, STR_LIT("a"), STR_LIT("#!define A 1\nroute[A]{f();}\n")) == 0);
	fuzz_require(script_files_put(f, STR_LIT("d/b"), STR_LIT("include_file \"c\"\n#!ifdef X\n")) == 0);
	fuzz_require(script_files_put(f, STR_LIT("d/c"), STR_LIT("#!endif\n/* not closed")) == 0);
	fuzz_require(script_files_put(f, STR_LIT("use"), STR_LIT("A A")) == 0); /* values that are longer than what was read of the file */
	fuzz_require(script_files_put(f, STR_LIT("self"), STR_LIT("#!include_file \"self\"\n")) == 0);
	block = fuzz_copy(script_files_bytes(f).s, script_files_bytes(f).n);
	script_files_free(f);
}

static int load(struct script_opts *opts, struct script **ret, struct script_err **ret_errs)
{
	struct script_files *f = script_files_from(block);
	int err;

	fuzz_require(f != NULL);
	opts->files = f;
	err = script_load(opts, ret, ret_errs);
	script_files_free(f);
	return err;
}

/* The block comes from another process: behind a zero byte an input is changes to a good one, offset (two bytes) and byte each. */
static void block_changed(const uint8_t *change, size_t n)
{
	struct str copy = fuzz_copy(block.s, block.n);
	struct script_files *f;
	struct str text;

	for (size_t i = 0; i + 2 < n; i += 3)
		((char *)(uintptr_t)copy.s)[(size_t)(change[i] << 8 | change[i + 1]) % copy.n] = (char)change[i + 2];
	if (n % 3 == 2 && change[n - 2] < copy.n)
		copy.n -= change[n - 2]; /* cut short */
	f = script_files_from(copy);
	for (unsigned i = 0; f && script_files_name(f, i); i++)
		if (script_files_read(f, script_files_name(f, i), &text) == 0)
			fuzz_require(str_find_char(text, '\0') <= (ptrdiff_t)text.n);
	if (f)
		fuzz_require(script_files_count(f) <= copy.n);
	script_files_free(f);
	fuzz_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool once;
	struct str text = str_of(data, size);
	struct script_opts opts = { .path = "fuzz", .text = text, .host = &host, .all_errors = size & 1 };
	struct script_err *errs = NULL, *e;
	struct script *s = NULL;
	unsigned n = 0;
	FILE *null;
	int err;

	if (!once) {
		once = true;
		log_level_set(L_ALERT);
		fuzz_require(clearenv() == 0 && setenv("E", "value", 1) == 0);
		files_make();
		fuzz_require(pv_core_register() == 0 && script_funcs_register("fuzz", funcs) == 0);
	}
	if (size == 0)
		return 0;
	if (data[0] == 0) {
		block_changed(data + 1, size - 1);
		return 0;
	}
	err = load(&opts, &s, &errs);
	for (e = errs; e; e = e->next) {
		n += e->level == SCRIPT_ERROR;
		fuzz_require(e->text.n > 0);
	}
	fuzz_require((err < 0) == (n > 0));
	script_errs_free(errs);
	if (err == 0) {
		null = fopen("/dev/null", "we");
		fuzz_require(null != NULL);
		script_disasm(s, null);
		fclose(null);
		script_free(s);
	}
	return 0;
}
