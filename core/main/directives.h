/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one text of the script, and the command line around it, say about the program: parameters, sockets, names, modules and
 * theirs. The text of the start is acted on while it is read; the text of a reload is only written down, and compared with what runs.
 */
#ifndef RF_MAIN_DIRECTIVES_H
#define RF_MAIN_DIRECTIVES_H

#include "core/main/options.h"
#include "core/main/params.h"
#include "core/module/params.h"
#include "core/script/script.h"

#define CONFIG_LISTENS_MAX 256u

struct pool;
struct config_entry;

struct config {
	struct pool *pool; /* texts */
	const struct options *opts;
	bool aside;        /* of a reload: nothing is acted on */
	struct main_conf conf;
	struct module_place place[PARAMS_MAX]; /* where a parameter was set last, by params_row() */
	struct {
		struct net_listen_spec spec;
		struct module_place place;
	} listen[CONFIG_LISTENS_MAX];
	unsigned n_listen;
	struct config_entry *aliases, *customs, *modules;
	struct module_params *params; /* aside only */
};

/* NULL without memory. */
struct config *config_new(const struct options *opts, bool aside);
void config_free(struct config *c);
/* Modules and their parameters of the command line: before the script. */
MUST_CHECK int config_begin(struct config *c, struct diag *reterr);
/* The host for a load; one config at a time is the one that is spoken to, until the next call. */
const struct script_host *config_host(struct config *c);
/* Parameters, sockets and names of the command line: after the script. */
MUST_CHECK int config_end(struct config *c, struct diag *reterr);

/* Tells what in `is` cannot be had without a restart. Returns how many. */
unsigned config_check(const struct config *was, const struct config *is, module_change_fn *refused, void *arg);
/* Makes `is` what runs: parameters, names, custom variables, modules' parameters. Cannot fail, logs what it cannot do. Gives back the
 * list of modules' parameters that ran before, for module_params_free(). */
struct module_params *config_switch(const struct config *was, struct config *is);
/* The part of a switch that all processes share: done by one of them. */
void config_switch_shared(const struct config *was, struct config *is);
/* "udp:10.0.0.1:5060" for messages. */
void config_spec_text(const struct net_listen_spec *s, char *out, size_t n);
/* What the layers below main take from it at start. running: what becomes of it, and what later switches change. */
void config_apply(const struct config *c, struct main_conf *running);

#endif
