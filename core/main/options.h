/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line, read once; what it says about parameters wins over the script. */
#ifndef RF_MAIN_OPTIONS_H
#define RF_MAIN_OPTIONS_H

#include "core/script/script.h"

#define OPTIONS_LIST_MAX 256u

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_FAILED };

struct options {
	const char *script;           /* -f */
	bool check, cfg_print, all_errors, errors_json /* --errors=json */;
	struct script_define defines[OPTIONS_LIST_MAX];
	unsigned n_defines;
	const char *substs[OPTIONS_LIST_MAX]; /* "subst /a/b/" */
	unsigned n_substs;
	const char *listens[OPTIONS_LIST_MAX];
	unsigned n_listens;
	const char *aliases[OPTIONS_LIST_MAX];
	unsigned n_aliases;
	const char *modules[OPTIONS_LIST_MAX]; /* --loadmodule */
	unsigned n_modules;
	const char *modparams[OPTIONS_LIST_MAX];
	unsigned n_modparams;
	const char *module_path;      /* -L */
	const char *pid_file, *pgid_file;
	const char *user, *group, *chroot_dir, *work_dir, *run_dir;
	int foreground;               /* number of -D */
	bool to_stderr, color;
	const char *log_engine;       /* --log-engine: name[:data] */
	int debug;                    /* INT_MIN: not given */
	int children, tcp_children;   /* 0: not given */
	int64_t shm_mb, pkg_mb;       /* 0: not given */
	int rx_bytes, tx_bytes;       /* 0: not given */
	bool no_tcp, check_via, via_dns, via_rev_dns;
	int auto_aliases, server_id;  /* -1: not given */
	const char *iuid;
	bool suspend_always;          /* --debug-suspend */
	bool steer_by_flow;           /* --steer-by-flow */
};

/* Prints usage, versions and complaints itself. */
enum options_result options_parse(int argc, char **argv, struct options *ret_options);

#endif
