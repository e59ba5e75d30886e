/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a module compiles against: its descriptor. A module is a shared object that exports `const struct module module_NAME`.
 * Order of calls: load (found by loadmodule) -> settings (modparam) -> init (before forking, in order of requires) ->
 * worker_init (in each worker) -> ... -> done.
 */
#ifndef RF_MODULE_ABI_H
#define RF_MODULE_ABI_H

#include "core/pv/trans.h"
#include "core/rpc/rpc.h"
#include "core/event/loop.h"
#include "core/script/func.h"
#include "core/settings/cfg.h"
#include "core/settings/schema.h"
#include "shm/intent.h"

#define MODULE_ABI 3u

struct module {
	unsigned abi;                       /* MODULE_ABI */
	const char *name;
	const char *const *requires;        /* modules that must be loaded; NULL-ended; NULL: none */
	const struct setting *settings;     /* modparams */
	void *conf;                         /* what settings' offsets are in */
	const struct cfg_live *live;        /* those of them that can be changed at run time, by the module's name (core/settings/cfg.h) */
	const char *live_group;             /* their group, where it has another name than the module; NULL */
	void (*live_changed)(void);         /* in each process, after they, or SETTING_LIVE ones, did; NULL: nothing follows from them */
	const struct script_func *funcs;
	const struct pv_def *pvs;
	const struct trans_def *trans;
	const struct rpc_method *rpcs;
	const char *const *event_routes;    /* names it fires, NULL-ended: for checks */
	const void *api;                    /* table for other modules (NAME_api.h); NULL: none */
	int (*load)(void);                  /* when loaded, before its modparams: register drivers and such. 0 or negative errno, logged */
	int (*init)(void);                  /* supervisor, all parameters known, arena exists. Logs its failure. */
	int (*worker_init)(struct loop *loop, unsigned worker);
	int (*rpcd_init)(struct loop *loop); /* in process rpcd */
	void (*worker_stop)(void);          /* orderly end of a worker, or of rpcd: flush */
	void (*done)(void);                 /* supervisor, at the end */
	int (*recover)(unsigned slot);      /* janitor, after a worker died */
};

/* api of a loaded module, or NULL. */
const void *module_api_find(const char *name);
bool module_is_loaded(const char *name);
bool module_is_loaded_str(struct str name);

#endif
