/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All errors of a text are told at once, as -c tells them: those of the language first, then the changes that a running server cannot
 * make. The comparison is made even when the text has errors, so that nobody has to try twice.
 */
#include "core/main/stage.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/pool.h"

#define LANGUAGE_VERSION "6.2.0"

struct stage {
	const struct config *was;
	struct script_files *files;
	struct script_opts opts;
	struct script_load *load; /* NULL: over */
	struct config *config;
	struct script *script;
	struct script_err *errs, *last;
	int err;
};

void stage_script_opts(const struct options *o, struct script_opts *ret)
{
	*ret = (struct script_opts){
		.path = o->script,
		.defines = o->defines,
		.n_defines = o->n_defines,
		.substs = o->substs,
		.n_substs = o->n_substs,
		.all_errors = o->all_errors,
		.version = LANGUAGE_VERSION,
	};
}

struct stage *stage_new(const struct options *opts, const struct config *was, struct script_files *files)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct diag why = { 0 };
	int err = -ENOMEM;

	if (!s) {
		script_files_free(files);
		return NULL;
	}
	s->was = was;
	s->files = files;
	s->config = config_new(opts, true);
	if (s->config)
		err = config_begin(s->config, &why); /* it was right when the server started */
	if (err == 0) {
		stage_script_opts(opts, &s->opts);
		s->opts.host = config_host(s->config);
		s->opts.files = files;
		s->opts.all_errors = true;
		err = script_load_begin(&s->opts, &s->load);
	}
	if (err < 0) {
		stage_free(s);
		return NULL;
	}
	return s;
}

void stage_free(struct stage *s)
{
	struct script_err *errs;

	if (!s)
		return;
	if (s->load && script_load_end(s->load, &s->script, &errs) < 0)
		script_errs_free(errs);
	script_free(s->script);
	script_errs_free(s->errs);
	config_free(s->config);
	script_files_free(s->files);
	free(s);
}

/* Behind a syntax error much is not read, and so not missing. */
static void refused(void *arg, const struct module_place *place, const char *text)
{
	struct stage *s = arg;
	struct str file = place ? place->file : str_lit(s->opts.path);

	if (!place && s->err < 0)
		return;
	script_err_add(&s->errs, SCRIPT_ERROR, file, place ? place->line : 0, place ? place->column : 0, text);
}

static void finish(struct stage *s)
{
	struct diag why = { 0 };
	int err;

	s->err = script_load_end(s->load, &s->script, &s->errs);
	s->load = NULL;
	err = config_end(s->config, &why);
	if (err == 0 && s->err != -ENOMEM && config_check(s->was, s->config, refused, s) > 0)
		err = -EBADMSG;
	if (s->err == 0)
		s->err = err;
}

bool stage_run(struct stage *s, uint64_t budget_us)
{
	uint64_t end = clock_now_us() + budget_us;

	if (!s->load)
		return false;
	(void)config_host(s->config);
	while (script_load_step(s->load))
		if (clock_now_us() >= end)
			return true;
	finish(s);
	return false;
}

int stage_result(const struct stage *s)
{
	return s->load ? -EINPROGRESS : s->err;
}

const struct script_err *stage_errors(const struct stage *s)
{
	return s->errs;
}

struct script_files *stage_files(const struct stage *s)
{
	return s->files;
}

struct config *stage_config(struct stage *s)
{
	return s->config;
}

void stage_take(struct stage *s, struct script **ret_script, struct config **ret_config)
{
	*ret_script = s->script;
	*ret_config = s->config;
	s->script = NULL;
	s->config = NULL;
}
