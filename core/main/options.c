/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of the command line, the ones that Kamailio's start scripts use, with the same letters. Those about things that
 * this server does not have (allocators, poll methods, a separate pool per process) are accepted and change nothing.
 */
#include "core/main/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "core/base/num.h"

enum { LONG_DEBUG = 1000, LONG_ALIAS, LONG_SUBST, LONG_SUBSTDEF, LONG_SUBSTDEFS, LONG_SERVER_ID, LONG_IUID, LONG_LOADMODULE,
       LONG_MODPARAM, LONG_LOG_ENGINE, LONG_CFG_PRINT, LONG_ATEXIT, LONG_ALL_ERRORS, LONG_ERRORS, LONG_DEBUG_SUSPEND, LONG_STEER_BY_FLOW };

/* clang-format off */
static const struct option longs[] = {
	{ "help", no_argument, NULL, 'h' },             { "version", no_argument, NULL, 'v' },
	{ "debug", required_argument, NULL, LONG_DEBUG }, { "alias", required_argument, NULL, LONG_ALIAS },
	{ "domain", required_argument, NULL, LONG_ALIAS }, { "subst", required_argument, NULL, LONG_SUBST },
	{ "substdef", required_argument, NULL, LONG_SUBSTDEF }, { "substdefs", required_argument, NULL, LONG_SUBSTDEFS },
	{ "server-id", required_argument, NULL, LONG_SERVER_ID }, { "iuid", required_argument, NULL, LONG_IUID },
	{ "loadmodule", required_argument, NULL, LONG_LOADMODULE }, { "modparam", required_argument, NULL, LONG_MODPARAM },
	{ "log-engine", required_argument, NULL, LONG_LOG_ENGINE }, { "cfg-print", no_argument, NULL, LONG_CFG_PRINT },
	{ "atexit", required_argument, NULL, LONG_ATEXIT }, { "all-errors", no_argument, NULL, LONG_ALL_ERRORS },
	{ "errors", required_argument, NULL, LONG_ERRORS },
	{ "debug-suspend", no_argument, NULL, LONG_DEBUG_SUSPEND }, { "steer-by-flow", no_argument, NULL, LONG_STEER_BY_FLOW },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
"Usage: ringfort [options]\n"
"    -f file        the script; \"-\" reads standard input\n"
"    -c             check the script and everything that it loads, report all errors, print sockets and names, exit\n"
"    --all-errors   report all errors of the script, not only the first, at a start too\n"
"    --errors=json  report errors and warnings as one JSON document on standard output (=text: the default)\n"
"    --cfg-print    print the script after includes and conditionals, exit\n"
"    -A NAME[=V]    define NAME for the script; --subst, --substdef, --substdefs as its directives\n"
"    -L path        search path of modules; wins over the script's\n"
"    --loadmodule=M --modparam=module:name:i|s:value    before the script's own\n"
"    -l address     listen on [proto:]address[:port][/advertise[:port]][/name] too; repeatable\n"
"    -a yes|no      names from DNS; --alias=[proto:]host[:port] adds one that is \"myself\"\n"
"    -n N           workers; -N and -Q are accepted\n"
"    -T             no TCP; -S is accepted\n"
"    -m MB          ceiling of shared memory; -M, -x and -X are accepted\n"
"    -d, --debug=N  log level: number of -d, or N; wins over the script\n"
"    -E, -e         log to standard error; in colours\n"
"    -D             one process for debugging: no RPC, nothing is replaced when it dies\n"
"    -DD, -DDD      all processes in the foreground; as a daemon\n"
"    -P file        pid file; -G file process group file\n"
"    -u -g -t -w -Y user, group, chroot, working directory, run directory\n"
"    -b N, -B N     bytes of receive and send buffers of sockets\n"
"    -K             check the Via of replies\n"
"    --log-engine=json[:letters]   lines as JSON documents (log_engine_type, log_engine_data)\n"
"    -r -R -W -O --atexit are accepted\n"
"    --server-id=N --iuid=S\n"
"    --steer-by-flow  all datagrams of one peer go to one worker and keep their order, but one trunk is then one worker's\n"
"    --debug-suspend  each call that may wait does so for one turn (tests)\n"
"    -v, -I, -h     version, build, this text\n";
/* clang-format on */

static bool number(const char *z, int64_t min, int64_t max, int64_t *ret)
{
	return num_i64(str_lit(z), ret) == 0 && *ret >= min && *ret <= max;
}

static enum options_result refuse(const char *opt, const char *why)
{
	fprintf(stderr, "ringfort: option %s: %s\n", opt, why);
	return OPTIONS_EXIT_FAILED;
}

static bool list_add(const char **list, unsigned *n, const char *item)
{
	if (*n == OPTIONS_LIST_MAX)
		return false;
	list[(*n)++] = item;
	return true;
}

/* "subst /a/b/" of the option and its argument; lives for ever. */
static const char *directive(const char *word, const char *arg)
{
	size_t n = strlen(word) + strlen(arg) + 2;
	char *p = malloc(n);

	if (p)
		snprintf(p, n, "%s %s", word, arg);
	return p;
}

static enum options_result one(struct options *o, int c)
{
	int64_t v;
	struct script_define *d;
	const char *eq;

	switch (c) {
	case 'f': o->script = optarg; break;
	case 'c': o->check = o->all_errors = true; break;
	case 'L': o->module_path = optarg; break;
	case 'A':
		if (o->n_defines == OPTIONS_LIST_MAX)
			return refuse("-A", "too many");
		d = &o->defines[o->n_defines++];
		eq = strchr(optarg, '=');
		d->name = str_of(optarg, eq ? (size_t)(eq - optarg) : strlen(optarg));
		d->has_value = eq != NULL;
		d->value = eq ? str_lit(eq + 1) : STR_NULL;
		if (d->name.n == 0)
			return refuse("-A", "name expected");
		break;
	case LONG_SUBST:
	case LONG_SUBSTDEF:
	case LONG_SUBSTDEFS:
		if (!list_add(o->substs, &o->n_substs, directive(c == LONG_SUBST ? "subst" : c == LONG_SUBSTDEF ? "substdef" : "substdefs", optarg)))
			return refuse("--subst", "too many");
		break;
	case 'l':
		if (!list_add(o->listens, &o->n_listens, optarg))
			return refuse("-l", "too many");
		break;
	case LONG_ALIAS:
		if (!list_add(o->aliases, &o->n_aliases, optarg))
			return refuse("--alias", "too many");
		break;
	case LONG_LOADMODULE:
		if (!list_add(o->modules, &o->n_modules, optarg))
			return refuse("--loadmodule", "too many");
		break;
	case LONG_MODPARAM:
		if (!list_add(o->modparams, &o->n_modparams, optarg))
			return refuse("--modparam", "too many");
		break;
	case 'a':
		if (strcmp(optarg, "yes") == 0 || strcmp(optarg, "on") == 0)
			o->auto_aliases = 1;
		else if (strcmp(optarg, "no") == 0 || strcmp(optarg, "off") == 0)
			o->auto_aliases = 0;
		else
			return refuse("-a", "yes or no expected");
		break;
	case 'n':
		if (!number(optarg, 1, 100, &v))
			return refuse("-n", "number of workers from 1 to 100 expected");
		o->children = (int)v;
		break;
	case 'N':
	case 'Q':
		if (!number(optarg, 0, 10000, &v))
			return refuse("-N", "number expected");
		o->tcp_children = (int)v;
		break;
	case 'm':
	case 'M':
		if (!number(optarg, 1, 16777216, &v))
			return refuse(c == 'm' ? "-m" : "-M", "megabytes from 1 to 16777216 expected");
		*(c == 'm' ? &o->shm_mb : &o->pkg_mb) = v;
		break;
	case 'b':
	case 'B':
		if (!number(optarg, 1, INT_MAX, &v))
			return refuse(c == 'b' ? "-b" : "-B", "bytes expected");
		*(c == 'b' ? &o->rx_bytes : &o->tx_bytes) = (int)v;
		break;
	case 'd': o->debug = o->debug == INT_MIN ? 1 : o->debug + 1; break;
	case LONG_DEBUG:
		if (!number(optarg, -5, 100, &v))
			return refuse("--debug", "level expected");
		o->debug = (int)v;
		break;
	case 'E': o->to_stderr = true; break;
	case 'e': o->color = true; break;
	case LONG_LOG_ENGINE: o->log_engine = optarg; break;
	case 'D': o->foreground++; break;
	case 'P': o->pid_file = optarg; break;
	case 'G': o->pgid_file = optarg; break;
	case 'u': o->user = optarg; break;
	case 'g': o->group = optarg; break;
	case 't': o->chroot_dir = optarg; break;
	case 'w': o->work_dir = optarg; break;
	case 'Y': o->run_dir = optarg; break;
	case 'T': o->no_tcp = true; break;
	case 'K': o->check_via = true; break;
	case 'r': o->via_dns = true; break;
	case 'R': o->via_rev_dns = true; break;
	case LONG_SERVER_ID:
		if (!number(optarg, 0, INT_MAX, &v))
			return refuse("--server-id", "number expected");
		o->server_id = (int)v;
		break;
	case LONG_IUID: o->iuid = optarg; break;
	case LONG_CFG_PRINT: o->cfg_print = true; break;
	case LONG_STEER_BY_FLOW:
		o->steer_by_flow = true;
		break;
	case LONG_DEBUG_SUSPEND:
		o->suspend_always = true;
		break;
	case LONG_ALL_ERRORS: o->all_errors = true; break;
	case LONG_ERRORS:
		o->errors_json = strcmp(optarg, "json") == 0;
		if (!o->errors_json && strcmp(optarg, "text") != 0)
			return refuse("--errors", "json or text expected");
		break;
	case 'v':
	case 'V':
		printf("version: ringfort %s (script language 6.2)\n", PACKAGE_VERSION);
		printf("flags: forked workers, shared memory, %s\n", sizeof(void *) == 8 ? "64 bit" : "32 bit");
		printf("id: %s\n", PACKAGE_STRING);
		printf("compiled with: %s\n", __VERSION__);
		return OPTIONS_EXIT_OK;
	case 'I':
		printf("modules: %s\nconfiguration: %s\n", RF_MODULE_DIR, RF_CONF_DIR);
		return OPTIONS_EXIT_OK;
	case 'h':
		fputs(usage, stdout);
		return OPTIONS_EXIT_OK;
	case 'x': case 'X': case 'S': case 'W': case 'O': case LONG_ATEXIT:
		break; /* see above: no such thing here */
	default:
		fputs("ringfort: see ringfort -h\n", stderr);
		return OPTIONS_EXIT_FAILED;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct options *o)
{
	enum options_result r = OPTIONS_RUN;
	int c;

	*o = (struct options){ .debug = INT_MIN, .auto_aliases = -1, .server_id = -1 };
	optind = 1;
	while (r == OPTIONS_RUN && (c = getopt_long(argc, argv, "f:cL:m:M:vVIhO:u:g:t:w:Y:A:a:l:n:N:Q:TSx:X:dEeDP:G:b:B:rRKW:", longs, NULL)) != -1)
		r = one(o, c);
	if (r == OPTIONS_RUN && optind < argc) {
		fprintf(stderr, "ringfort: '%s' is no option; see ringfort -h\n", argv[optind]);
		r = OPTIONS_EXIT_FAILED;
	}
	if (!o->script)
		o->script = RF_CONF_DIR "/ringfort.cfg";
	return r;
}
