/* SPDX-License-Identifier: BSD-2-Clause */
/* See fuzz_mods.h. The program's loader opens files and is not linked: the questions that modules ask it are answered here. */
#include "tests/fuzz/fuzz_mods.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/module/loader.h"
#include "core/net/myself.h"
#include "core/pv/pv.h"
#include "core/route/route.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/fuzz/fuzz.h"

#define MODULES_MAX 16u

static const struct module *loaded[MODULES_MAX];
static unsigned n_loaded;

const void *module_api_find(const char *name)
{
	for (unsigned i = 0; i < n_loaded; i++)
		if (strcmp(loaded[i]->name, name) == 0)
			return loaded[i]->api;
	return NULL;
}

bool module_is_loaded(const char *name)
{
	for (unsigned i = 0; i < n_loaded; i++)
		if (strcmp(loaded[i]->name, name) == 0)
			return true;
	return false;
}

unsigned module_count(void)
{
	return n_loaded;
}

const struct module *module_at(unsigned i)
{
	return i < n_loaded ? loaded[i] : NULL;
}

static int send_nothing(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead)
{
	(void)dest, (void)iov, (void)n_iov, (void)ret_instead;
	return -ECANCELED;
}

static void load(const struct module *m)
{
	if (m->settings)
		settings_defaults(m->settings, m->conf);
	if (m->pvs)
		fuzz_require(pv_register(m->pvs) == 0);
	if (m->trans)
		fuzz_require(trans_register(m->trans) == 0);
	if (m->funcs)
		fuzz_require(script_funcs_register(m->name, m->funcs) == 0);
	loaded[n_loaded++] = m;
	if (m->load)
		fuzz_require(m->load() == 0);
}

struct loop *fuzz_modules_start(const struct module *const *modules, unsigned n, void (*set)(const struct module *m))
{
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP, .host = STR_LIT("127.0.0.1"), .port = 5060 };
	struct loop *loop;

	fuzz_require(n <= MODULES_MAX);
	log_level_set(getenv("FUZZ_LOG") ? L_DBG : L_ALERT - 1);
	clock_fake(1000, 1800000000);
	fuzz_require(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 256u << 20 }) == 0);
	fuzz_require(shm_slot_take(0, SHM_SLOT_TEST) == 0);
	hashfn_key(shm_arena_secret());
	fuzz_require(loop_new(&loop) == 0 && ctx_pool_init(64) == 0);
	fuzz_require(net_listener_add(&spec, NULL) == 0 && net_alias_add(SIP_PROTO_NONE, STR_LIT("me.test"), 0) == 0);
	fuzz_require(pv_core_register() == 0 && route_register() == 0);
	for (unsigned i = 0; i < n; i++)
		load(modules[i]);
	for (unsigned i = 0; i < n; i++) {
		if (set)
			set(modules[i]);
		if (modules[i]->init)
			fuzz_require(modules[i]->init() == 0);
	}
	for (unsigned i = 0; i < n; i++)
		if (modules[i]->worker_init)
			fuzz_require(modules[i]->worker_init(loop, 0) == 0);
	tx_set_hook(send_nothing);
	return loop;
}

static void stop(void *loop)
{
	loop_stop(loop);
}

void fuzz_turn(struct loop *loop)
{
	fuzz_require(loop_defer(loop, stop, loop) == 0);
	loop_run(loop);
}

void fuzz_set(const struct module *m, const char *name, int64_t i, const char *s)
{
	const struct setting *set = settings_find(m->settings, str_lit(name));
	struct diag d = { 0 };

	if (!set || settings_set(set, m->conf, s == NULL, i, str_lit(s ? s : ""), &d) < 0) {
		fprintf(stderr, "%s: parameter %s: %s\n", m->name, name, d.text);
		abort();
	}
}
