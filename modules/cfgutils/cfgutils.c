/* SPDX-License-Identifier: BSD-2-Clause */
/* cfgutils: chance, global flags, waiting, locks between messages, routes by name. */
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "core/base/rng.h"
#include "modules/cfgutils/cfgutils_priv.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define LOCK_SET_SIZE_MAX 14
#define WAIT_MS_MAX 3600000 /* what a message may be parked for */

struct cfgutils_conf cfgutils_conf;
struct cfgutils_shared *cfgutils_shared;

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("initial_probability", struct cfgutils_conf, initial_probability, 10, 0, 100),
	SETTING_INT("initial_gflags",      struct cfgutils_conf, initial_gflags,      0, INT32_MIN, INT32_MAX),
	SETTING_STR("hash_file",           struct cfgutils_conf, hash_file,           NULL),
	SETTING_INT("lock_set_size",       struct cfgutils_conf, lock_set_size,       0, 0, LOCK_SET_SIZE_MAX),
	SETTING_END
};
/* clang-format on */

/* ---- chance ---- */

static int f_rand_event(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)a;
	(void)n;
	return rng_u64() % 100 < atomic_load(&cfgutils_shared->probability) ? 1 : -1;
}

static int f_rand_set_prob(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	if (a[0].i < 0 || a[0].i > 100) {
		log_error("rand_set_prob: %lld is not in 0 to 100", (long long)a[0].i);
		return -1;
	}
	atomic_store(&cfgutils_shared->probability, (uint32_t)a[0].i);
	return 1;
}

static int f_rand_reset_prob(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)a;
	(void)n;
	atomic_store(&cfgutils_shared->probability, (uint32_t)cfgutils_conf.initial_probability);
	return 1;
}

static int f_rand_get_prob(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)a;
	(void)n;
	return (int)atomic_load(&cfgutils_shared->probability);
}

static int random_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	(void)spec;
	*ret = value_int((int64_t)(rng_u64() & INT32_MAX));
	return 0;
}

/* ---- waiting: the message waits, not the worker ---- */

static int wait_ms(struct ctx *ctx, int64_t ms)
{
	if (ms <= 0)
		return 1;
	return ctx_park(ctx, (unsigned)(ms > WAIT_MS_MAX ? WAIT_MS_MAX : ms), 1) ? SCRIPT_SUSPEND : -1;
}

static int f_sleep(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return wait_ms(ctx, a[0].i > WAIT_MS_MAX / 1000 ? WAIT_MS_MAX : a[0].i * 1000);
}

static int f_usleep(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return wait_ms(ctx, a[0].i > 0 ? (a[0].i - 1) / 1000 + 1 : 0);
}

/* ---- locks ---- */

static ctx_lock_word *word_of(const union script_arg *a, unsigned n)
{
	uint32_t hash = hashfn_core(a[0].s, n > 1 ? a[1].s : STR_NULL);

	return &cfgutils_shared->lock[hash & ((1u << cfgutils_conf.lock_set_size) - 1)];
}

static bool locks_there(const char *what)
{
	if (cfgutils_conf.lock_set_size > 0)
		return true;
	log_error("cfgutils: %s(): there are no locks: set modparam(\"cfgutils\", \"lock_set_size\", N), 2^N locks", what);
	return false;
}

static int f_lock(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	enum ctx_lock_result rc = locks_there("lock") ? ctx_lock(ctx, word_of(a, n), STR_LIT("cfgutils")) : CTX_LOCK_FAILED;

	return rc == CTX_LOCK_WAITS ? SCRIPT_SUSPEND : (int)rc;
}

static int f_trylock(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return locks_there("trylock") && ctx_trylock(ctx, word_of(a, n)) ? 1 : -1;
}

static int f_unlock(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return locks_there("unlock") && ctx_unlock(ctx, word_of(a, n)) ? 1 : -1;
}

/* ---- global flags ---- */

static int gflag(const union script_arg *a, uint32_t *ret_bit)
{
	if (a[0].i < 0 || a[0].i > 31) {
		log_error("cfgutils: flag %lld is not in 0 to 31", (long long)a[0].i);
		return -1;
	}
	*ret_bit = 1u << a[0].i;
	return 1;
}

static int f_set_gflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t bit;

	(void)ctx;
	(void)n;
	if (gflag(a, &bit) < 0)
		return -1;
	atomic_fetch_or(&cfgutils_shared->gflags, bit);
	return 1;
}

static int f_reset_gflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t bit;

	(void)ctx;
	(void)n;
	if (gflag(a, &bit) < 0)
		return -1;
	atomic_fetch_and(&cfgutils_shared->gflags, ~bit);
	return 1;
}

static int f_is_gflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t bit;

	(void)ctx;
	(void)n;
	return gflag(a, &bit) > 0 && (atomic_load(&cfgutils_shared->gflags) & bit) ? 1 : -1;
}

/* ---- routes by name, hashes ---- */

static int f_route_exists(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return script_has_route(ctx, CTX_REQUEST, a[0].s) ? 1 : -1;
}

static int route_code(struct ctx *ctx, int rc, void *arg)
{
	(void)ctx;
	(void)arg;
	return rc;
}

static int f_route_if_exists(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int rc = script_call_route(ctx, CTX_REQUEST, a[0].s, route_code, NULL);

	(void)n;
	return rc == -ENOENT ? -1 : rc;
}

/* size: 2^size results, from 1. */
static int f_core_hash(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t mask = a[2].i <= 0 ? 1u : a[2].i >= 31 ? INT32_MAX >> 1 : (1u << a[2].i) - 1;

	(void)ctx;
	(void)n;
	return (int)(hashfn_core(a[0].s, a[1].s) & mask) + 1;
}

/* ---- memory, ending ---- */

static int f_pkg_status(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	log_write(L_INFO, "contexts in use %u, waiting %u; this message holds %zu bytes", ctx_in_use(), ctx_parked(), pool_used(ctx->pool));
	return 1;
}

static int f_shm_status(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct shm_stats s;

	(void)ctx;
	(void)a;
	(void)n;
	shm_arena_stats(&s);
	log_write(L_INFO, "shared memory: ceiling %llu bytes, used %llu, free %llu, most used %llu, committed %llu, objects %llu",
		  (unsigned long long)s.ceiling_bytes, (unsigned long long)s.used_bytes, (unsigned long long)s.free_bytes,
		  (unsigned long long)s.max_used_bytes, (unsigned long long)s.committed_bytes, (unsigned long long)s.n_objects);
	return 1;
}

/* For trying out what happens: the worker dies of SIGABRT and is replaced. */
static int f_abort(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)a;
	(void)n;
	log_write(L_CRIT, "abort() called by the script");
	abort();
}

static int init(void)
{
	size_t n_locks = cfgutils_conf.lock_set_size > 0 ? (size_t)1 << cfgutils_conf.lock_set_size : 0;
	int err = cfgutils_hash_init();

	if (err < 0)
		return err;
	cfgutils_shared = shm_alloc(sizeof(*cfgutils_shared) + n_locks * sizeof(ctx_lock_word));
	if (!cfgutils_shared)
		return log_fail(-ENOSPC, "cfgutils: %zu locks", n_locks);
	cfgutils_shared->gflags = (uint32_t)cfgutils_conf.initial_gflags;
	cfgutils_shared->probability = (uint32_t)cfgutils_conf.initial_probability;
	for (size_t i = 0; i < n_locks; i++)
		cfgutils_shared->lock[i] = 0;
	shm_publish(cfgutils_shared);
	return 0;
}

static int recover(unsigned slot)
{
	if (cfgutils_conf.lock_set_size > 0)
		ctx_lock_recover(cfgutils_shared->lock, 1u << cfgutils_conf.lock_set_size, slot);
	return 0;
}

static void worker_stop(void)
{
	(void)recover((unsigned)shm_slot_self());
}

#define F0(name_, fn_) { .name = name_, .fn = fn_, .kinds = CTX_ANY }
#define F1(name_, fn_, p1) { .name = name_, .fn = fn_, .n_params = 1, .param = { p1 }, .kinds = CTX_ANY }
#define WAIT1(name_, fn_, p1) { .name = name_, .fn = fn_, .n_params = 1, .param = { p1 }, .kinds = CTX_ANY, .may_suspend = true }
#define F2(name_, fn_, p1, p2) { .name = name_, .fn = fn_, .n_params = 2, .param = { p1, p2 }, .kinds = CTX_ANY }
/* clang-format off */
static const struct script_func funcs[] = {
	F0("rand_event",         f_rand_event),
	F1("rand_set_prob",      f_rand_set_prob, SP_DINT),
	F0("rand_reset_prob",    f_rand_reset_prob),
	F0("rand_get_prob",      f_rand_get_prob),
	WAIT1("sleep",           f_sleep, SP_DINT),
	WAIT1("usleep",          f_usleep, SP_DINT),
	WAIT1("lock",            f_lock, SP_DSTR),
	{ .name = "lock", .fn = f_lock, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY, .may_suspend = true },
	F1("trylock",            f_trylock, SP_DSTR),
	F2("trylock",            f_trylock, SP_DSTR, SP_DSTR),
	F1("unlock",             f_unlock, SP_DSTR),
	F2("unlock",             f_unlock, SP_DSTR, SP_DSTR),
	F1("set_gflag",          f_set_gflag, SP_DINT),
	F1("reset_gflag",        f_reset_gflag, SP_DINT),
	F1("is_gflag",           f_is_gflag, SP_DINT),
	F1("check_route_exists", f_route_exists, SP_DSTR),
	WAIT1("route_if_exists", f_route_if_exists, SP_DSTR),
	{ .name = "core_hash", .fn = f_core_hash, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	F0("pkg_status",         f_pkg_status),
	F0("pkg_summary",        f_pkg_status),
	F0("shm_status",         f_shm_status),
	F0("shm_summary",        f_shm_status),
	F0("abort",              f_abort),
	{ .name = NULL },
};
static const struct pv_def pvs[] = {
	{ .name = "RANDOM", .get = random_get },
	{ .name = NULL },
};
/* clang-format on */

const struct module module_cfgutils = {
	.abi = MODULE_ABI,
	.name = "cfgutils",
	.settings = settings,
	.conf = &cfgutils_conf,
	.funcs = funcs,
	.pvs = pvs,
	.rpcs = cfgutils_rpcs,
	.init = init,
	.worker_stop = worker_stop,
	.recover = recover,
};
