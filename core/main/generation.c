/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes share is one page of words and two files in memory: the bytes of the committed text, and of the one offered. The
 * words are numbers of attempts, which never come again, so a word of a dead process or of an attempt that was given up is told
 * from a current one. Nothing here is in the arena: no lock, nothing to recover. Who writes what: rpcd `offered`, `committed` and
 * the files; each process its own row.
 *
 * When rpcd dies, what it offered is withdrawn by its replacement, and workers forget it; what it committed stays. When a worker
 * dies, its replacement goes to what is committed before it takes a message, and compiles what is offered like the others.
 *
 * A process keeps a list of its generations, oldest first. A script is freed when its last context is; texts of parameters may
 * have been picked up by contexts of any earlier generation, so they go in order.
 */
#include "core/main/generation.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/event/doorbell.h"
#include "core/route/route.h"
#include "core/rpc/rpc.h"
#include "core/script/vm.h"
#include "shm/slot.h"

#define SLICE_US 300u  /* of compiling, per turn of the loop */
#define OLD_SHOWN 4u
#define PATH_SHOWN 256u

/* attempt << 1 | which of the two files; 0: none (offered), or the start (committed) */
typedef uint32_t gen_word;

struct snapshot {
	uint64_t bytes, hash;
	uint32_t number;    /* generation, when it is committed */
	uint32_t n_files;
	int64_t at_s;
};

struct row { /* of a slot; written: its process; read: rpcd */
	_Atomic gen_word prepared, failed, running;
	char why[256];                           /* written before failed */
	struct {
		_Atomic uint32_t number, n_ctx;
	} old[OLD_SHOWN];
};

struct shared {
	_Atomic gen_word offered, committed; /* written: rpcd */
	_Atomic uint32_t last_attempt;       /* written: rpcd */
	_Atomic uint32_t n_reloads, n_refused;
	struct snapshot start;
	struct snapshot snap[2]; /* written: rpcd, before the word that names it */
	char path[PATH_SHOWN];
	struct row row[SHM_SLOTS_MAX];
};

struct generation {
	struct generation *next;
	uint32_t number;
	struct script *script;        /* NULL: freed */
	struct config *config;
	struct module_params *params; /* once another one runs */
	bool for_ever;                /* of the start: shared with the supervisor and all its children */
};

static struct {
	struct shared *shared;
	int fd[2];
	const struct options *opts;
	unsigned n_workers;
	/* of this process */
	struct generation *first, *current;
	struct loop *loop;
	struct row *row;
	gen_word running, staged;
	struct stage *stage;     /* of `staged`, until it is taken; in rpcd reload.c has its own */
	bool stage_over, reap, is_worker;
} gen = { .fd = { -1, -1 } };

/* ---- start ---- */

static uint64_t hash_of(const struct script_files *files)
{
	struct str all = script_files_bytes(files);

	return XXH3_64bits(all.s, all.n);
}

static struct snapshot describe(const struct script_files *files, uint32_t number)
{
	return (struct snapshot){ .bytes = script_files_bytes(files).n, .hash = hash_of(files), .number = number,
				  .n_files = script_files_count(files), .at_s = clock_wall_s() };
}

static void script_idle(struct script *s)
{
	(void)s;
	gen.reap = true; /* at the end of the turn: who let it go may still look at its texts */
}

int generation_init(const struct options *opts, struct script *script, struct config *config, const struct script_files *files,
		    unsigned n_workers)
{
	struct generation *g = calloc(1, sizeof(*g));
	struct shared *s;
	unsigned i;

	if (!g)
		return -ENOMEM;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED) {
		free(g);
		return -ENOMEM;
	}
	*g = (struct generation){ .number = 1, .script = script, .config = config, .for_ever = true };
	gen.first = gen.current = g;
	gen.shared = s;
	gen.opts = opts;
	gen.n_workers = n_workers;
	(void)snprintf(s->path, sizeof(s->path), "%s", opts->script);
	s->start = describe(files, 1);
	for (i = 0; i < 2; i++) {
		gen.fd[i] = memfd_create("ringfort-script", MFD_CLOEXEC);
		if (gen.fd[i] < 0)
			return -errno;
	}
	vm_on_idle(script_idle);
	return 0;
}

/* ---- what this process keeps ---- */

static bool in_use(const struct generation *g)
{
	return g == gen.current || (g->script && script_n_ctx(g->script) > 0);
}

static void reap(void)
{
	struct generation *g;

	gen.reap = false;
	for (g = gen.first; g; g = g->next) {
		if (in_use(g) || g->for_ever)
			continue;
		script_free(g->script);
		g->script = NULL;
	}
	while (gen.first != gen.current && !in_use(gen.first)) {
		g = gen.first;
		gen.first = g->next;
		if (!g->for_ever) {
			config_free(g->config);
			module_params_free(g->params);
		}
		free(g);
	}
}

static void show_old(void)
{
	const struct generation *g = gen.first;
	uint32_t n;

	for (unsigned i = 0; i < OLD_SHOWN; i++) {
		while (g && g != gen.current && !in_use(g))
			g = g->next;
		n = g && g != gen.current ? script_n_ctx(g->script) : 0;
		atomic_store_explicit(&gen.row->old[i].number, n ? g->number : 0, memory_order_relaxed);
		atomic_store_explicit(&gen.row->old[i].n_ctx, n, memory_order_relaxed);
		if (g && g != gen.current)
			g = g->next;
	}
}

/* The stage is proven, and nothing of a message is being handled. */
static void switch_to(struct stage *stage, gen_word word, uint32_t number)
{
	struct generation *g = calloc(1, sizeof(*g)), *was = gen.current;

	if (!g) {
		log_crit("no memory to switch to generation %u of the script: this process ends, and starts anew with it", number);
		_exit(EXIT_FAILURE);
	}
	g->number = number;
	stage_take(stage, &g->script, &g->config);
	stage_free(stage);
	CRASH_POINT("reload.switch.before");
	was->params = config_switch(was->config, g->config);
	was->next = g;
	gen.current = g;
	vm_set_script(g->script);
	if (gen.is_worker)
		route_onsend_init();
	gen.running = word;
	CRASH_POINT("reload.switch.middle");
	atomic_store_explicit(&gen.row->running, word, memory_order_release);
	CRASH_POINT("reload.switch.after");
	gen.reap = true;
}

/* ---- bytes from rpcd ---- */

static struct script_files *snapshot_read(gen_word word)
{
	const struct snapshot *s = &gen.shared->snap[word & 1];
	size_t n = s->bytes, at = 0;
	char *mem = malloc(n + 1);
	struct script_files *f = NULL;
	ssize_t got = 1;

	while (mem && at < n && got > 0) {
		got = pread(gen.fd[word & 1], mem + at, n - at, (off_t)at);
		at += got > 0 ? (size_t)got : 0;
	}
	if (mem && at == n && XXH3_64bits(mem, n) == s->hash)
		f = script_files_from(str_of(mem, n));
	free(mem);
	return f;
}

static int snapshot_write(unsigned which, const struct script_files *files)
{
	struct str all = script_files_bytes(files);
	size_t at = 0;
	ssize_t n;

	if (ftruncate(gen.fd[which], 0) < 0)
		return -errno;
	while (at < all.n) {
		n = pwrite(gen.fd[which], all.s + at, all.n - at, (off_t)at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	gen.shared->snap[which] = describe(files, generation_number() + 1);
	return 0;
}

/* ---- a worker follows ---- */

static void stage_drop(void)
{
	stage_free(gen.stage);
	gen.stage = NULL;
	gen.staged = 0;
	gen.stage_over = false;
}

static void stage_failed(gen_word word, const struct script_err *err, const char *otherwise)
{
	if (err)
		(void)snprintf(gen.row->why, sizeof(gen.row->why), "%.*s:%u: %.*s", STR_FMT(err->file), err->line, STR_FMT(err->text));
	else
		(void)snprintf(gen.row->why, sizeof(gen.row->why), "%s", otherwise);
	atomic_store_explicit(&gen.row->failed, word, memory_order_release);
}

static void stage_begin(gen_word word)
{
	struct script_files *files;

	stage_drop();
	gen.staged = word;
	files = snapshot_read(word);
	gen.stage = files ? stage_new(gen.opts, gen.current->config, files) : NULL;
	gen.stage_over = !gen.stage;
	if (!gen.stage)
		stage_failed(word, NULL, "out of memory, or its bytes are damaged");
}

/* NULL: there is none. */
static const struct script_err *first_error(const struct stage *s)
{
	const struct script_err *e = stage_errors(s);

	while (e && e->level != SCRIPT_ERROR)
		e = e->next;
	return e;
}

static void stage_ended(void)
{
	gen.stage_over = true;
	if (stage_result(gen.stage) < 0) {
		stage_failed(gen.staged, first_error(gen.stage), "out of memory");
		return;
	}
	CRASH_POINT("reload.prepared.before");
	atomic_store_explicit(&gen.row->prepared, gen.staged, memory_order_release);
	CRASH_POINT("reload.prepared.after");
}

static void nothing(void *arg)
{
	(void)arg; /* the loop shall not sleep: compiling goes on in the next turn */
}

/* To what is committed, at once. For a process that handles no message yet, or has missed the offer. */
static int catch_up(gen_word word)
{
	if (gen.staged != word)
		stage_begin(word);
	while (gen.stage && stage_run(gen.stage, UINT64_MAX / 2))
		;
	if (!gen.stage || stage_result(gen.stage) < 0) {
		const struct script_err *e = gen.stage ? first_error(gen.stage) : NULL;

		log_crit("generation %u of the script cannot be compiled here, though it was elsewhere: %.*s",
			 gen.shared->snap[word & 1].number, e ? (int)e->text.n : 13, e ? e->text.s : "out of memory");
		return -ENOMEM;
	}
	switch_to(gen.stage, word, gen.shared->snap[word & 1].number);
	gen.stage = NULL;
	stage_drop();
	return 0;
}

static void follow(gen_word offered, gen_word committed)
{
	if (committed != gen.running) {
		if (catch_up(committed) < 0)
			_exit(EXIT_FAILURE); /* a process of the old generation among new ones is worse than none: replaced */
		return;
	}
	if (offered != gen.staged) {
		if (offered == 0)
			stage_drop();
		else
			stage_begin(offered);
	}
	if (gen.stage && !gen.stage_over) {
		if (stage_run(gen.stage, SLICE_US)) {
			if (loop_defer(gen.loop, nothing, NULL) < 0)
				return; /* then at the next wake-up */
		} else {
			stage_ended();
		}
	}
}

static void turn_ends(void *arg)
{
	gen_word offered = atomic_load_explicit(&gen.shared->offered, memory_order_acquire);
	gen_word committed = atomic_load_explicit(&gen.shared->committed, memory_order_acquire);

	(void)arg;
	if (offered == committed)
		offered = 0; /* committed in this moment */
	if (UNLIKELY(gen.is_worker && (committed != gen.running || offered != gen.staged || (gen.stage && !gen.stage_over))))
		follow(offered, committed);
	if (UNLIKELY(gen.reap))
		reap();
	if (UNLIKELY(gen.first != gen.current) || gen.row->old[0].number)
		show_old();
}

int generation_process_start(struct loop *loop)
{
	struct shm_slot_info info;
	gen_word word;
	int err = 0, slot = shm_slot_self();

	if (!gen.shared || slot < 0)
		return 0;
	gen.loop = loop;
	gen.row = &gen.shared->row[slot];
	atomic_store(&gen.row->running, 0);
	for (unsigned i = 0; i < OLD_SHOWN; i++)
		atomic_store(&gen.row->old[i].number, 0);
	gen.is_worker = shm_slot_info((unsigned)slot, &info) == 0 && info.kind == SHM_SLOT_WORKER;
	if (!gen.is_worker) /* rpcd: what one before it offered and did not commit is nobody's */
		atomic_store(&gen.shared->offered, 0);
	word = atomic_load_explicit(&gen.shared->committed, memory_order_acquire);
	if (word != 0)
		err = catch_up(word);
	return err < 0 ? err : loop_on_turn(loop, turn_ends, NULL);
}

/* ---- rpcd ---- */

const struct config *generation_config(void)
{
	return gen.current->config;
}

unsigned generation_number(void)
{
	gen_word word = atomic_load(&gen.shared->committed);

	return word ? gen.shared->snap[word & 1].number : 1;
}

void generation_count_refused(void)
{
	atomic_fetch_add(&gen.shared->n_refused, 1);
}

static void ring_workers(void)
{
	for (unsigned i = 1; i <= gen.n_workers; i++)
		doorbell_ring(i);
}

int generation_offer(struct stage *proven)
{
	struct shared *s = gen.shared;
	gen_word committed = atomic_load(&s->committed), word;
	int err;

	if (atomic_load(&s->offered) != 0)
		return -EBUSY;
	word = (atomic_fetch_add(&s->last_attempt, 1) + 1) << 1 | (~committed & 1);
	err = snapshot_write(word & 1, stage_files(proven));
	if (err < 0)
		return log_fail(err, "the text of the script cannot be handed to the workers");
	CRASH_POINT("reload.offer.before");
	atomic_store_explicit(&s->offered, word, memory_order_release);
	CRASH_POINT("reload.offer.after");
	ring_workers();
	return 0;
}

enum generation_state generation_offered(char *text, size_t n)
{
	gen_word word = atomic_load(&gen.shared->offered);

	for (unsigned i = 1; i <= gen.n_workers; i++) {
		const struct row *r = &gen.shared->row[i];

		if (atomic_load_explicit(&r->failed, memory_order_acquire) == word) {
			(void)snprintf(text, n, "worker %u: %s", i, r->why);
			return GEN_FAILED;
		}
		if (atomic_load_explicit(&r->prepared, memory_order_acquire) != word) {
			(void)snprintf(text, n, "worker %u", i);
			return GEN_WAITING;
		}
	}
	return GEN_READY;
}

void generation_commit(struct stage *proven)
{
	struct shared *s = gen.shared;
	gen_word word = atomic_load(&s->offered);

	config_switch_shared(gen.current->config, stage_config(proven));
	CRASH_POINT("reload.commit.before");
	atomic_store_explicit(&s->committed, word, memory_order_release);
	CRASH_POINT("reload.commit.middle");
	atomic_fetch_add(&s->n_reloads, 1);
	atomic_store_explicit(&s->offered, 0, memory_order_release);
	CRASH_POINT("reload.commit.after");
	ring_workers();
	switch_to(proven, word, s->snap[word & 1].number);
}

void generation_withdraw(void)
{
	atomic_store_explicit(&gen.shared->offered, 0, memory_order_release);
	ring_workers();
}

bool generation_settled(char *text, size_t n)
{
	gen_word word = atomic_load(&gen.shared->committed);

	for (unsigned i = 1; i <= gen.n_workers; i++) {
		if (atomic_load_explicit(&gen.shared->row[i].running, memory_order_acquire) == word)
			continue;
		(void)snprintf(text, n, "worker %u", i);
		return false;
	}
	return true;
}

static unsigned old_contexts(uint32_t number)
{
	unsigned n = 0;

	for (unsigned i = 1; i <= gen.n_workers; i++)
		for (unsigned k = 0; k < OLD_SHOWN; k++)
			if (atomic_load(&gen.shared->row[i].old[k].number) == number)
				n += atomic_load(&gen.shared->row[i].old[k].n_ctx);
	return n;
}

void generation_rpc(struct rpc *rpc)
{
	struct shared *s = gen.shared;
	gen_word word = atomic_load_explicit(&s->committed, memory_order_acquire);
	const struct snapshot *snap = word ? &s->snap[word & 1] : &s->start;
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL), *list, *o;
	unsigned on_it = 0, i;

	for (i = 1; i <= gen.n_workers; i++)
		on_it += atomic_load(&s->row[i].running) == word;
	rpc_add_int(rpc, n, "generation", snap->number);
	rpc_add_str(rpc, n, "file", str_lit(s->path));
	rpc_add_int(rpc, n, "files", snap->n_files);
	rpc_add_int(rpc, n, "bytes", (int64_t)snap->bytes);
	rpc_add_printf(rpc, n, "hash", "%016llx", (unsigned long long)snap->hash);
	rpc_add_int(rpc, n, "loaded", snap->at_s);
	rpc_add_int(rpc, n, "age", clock_wall_s() - snap->at_s);
	rpc_add_int(rpc, n, "reloads", atomic_load(&s->n_reloads));
	rpc_add_int(rpc, n, "refused", atomic_load(&s->n_refused));
	rpc_add_int(rpc, n, "workers", gen.n_workers);
	rpc_add_int(rpc, n, "workers_on_it", on_it);
	list = rpc_add_array(rpc, n, "earlier");
	for (i = snap->number > 1000 ? snap->number - 1000 : 1; i < snap->number; i++) {
		unsigned contexts = old_contexts(i);

		if (contexts == 0)
			continue;
		o = rpc_add_object(rpc, list, NULL);
		rpc_add_int(rpc, o, "generation", i);
		rpc_add_int(rpc, o, "contexts", contexts);
	}
}
