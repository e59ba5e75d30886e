/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of module htable: definitions, values and their time, copies, locks; and workers that die in the middle of each. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/hashfn.h"
#include "modules/htable/table.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define NOW 1000000
#define K(text) STR_LIT(text)

/* clang-format off */
static const struct { const char *text; int err; const char *reason; } defs[] = {
	{ "a=>size=8;autoexpire=300;",                   0,        NULL },
	{ " a =>size=8 ; autoexpire=300",                0,        NULL },
	{ "a",                                           0,        NULL },
	{ "a=>",                                         0,        NULL },
	{ "a=>dbtable=x;cols='k,c1,c2';coldelim='|'",    0,        NULL },
	{ "a=>dbtable=\"x\";dbmode=1;reloadat=60",       0,        NULL },
	{ "=>size=8",                                    -EBADMSG, "name" },
	{ "a=>size",                                     -EBADMSG, "attribute=value" },
	{ "a=>size=x",                                   -EBADMSG, "number" },
	{ "a=>sizes=8",                                  -EBADMSG, "unknown attribute \"sizes\"" },
	{ "a=>dmqreplicate=1",                           -EBADMSG, "DMQ" },
	{ "a=>dmqreplicate=0",                           0,        NULL },
	{ "a=>dbmode=2",                                 -EBADMSG, "dbmode" },
	{ "a=>cols='k'",                                 -EBADMSG, "no value column" },
	{ "a=>cols='k,1,2,3,4,5,6,7,8'",                 -EBADMSG, "at most" },
	{ "a=>cols='k,c",                                -EBADMSG, "quote" },
	{ "a=>initval=zero",                             -EBADMSG, "initval" },
};
static const struct { const char *text; uint32_t n_slots; } sizes[] = {
	{ "a=>size=0", 8 }, { "a=>size=1", 8 }, { "a=>size=2", 4 }, { "a", 16 }, { "a=>size=8", 256 }, { "a=>size=32", 16384 },
};
/* clang-format on */

START_TEST(definitions)
{
	struct ht_def def;
	struct diag d = { 0 };

	ck_assert_int_eq(ht_def_parse(str_lit(defs[_i].text), &def, &d), defs[_i].err);
	if (defs[_i].err == 0)
		ck_assert(str_eq(def.name, K("a")));
	else
		ck_assert_msg(strstr(d.text, defs[_i].reason) != NULL, "%s", d.text);
}
END_TEST

START_TEST(definition_values)
{
	struct ht_def def;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		ck_assert_int_eq(ht_def_parse(str_lit(sizes[i].text), &def, NULL), 0);
		ck_assert_uint_eq(def.n_slots, sizes[i].n_slots);
	}
	ck_assert_int_eq(ht_def_parse(K("t=>autoexpire=7;initval=-3;updateexpire=0;dbtable=x;cols='k, c1 ,c2';coldelim=';';colnull=''"), &def, NULL), 0);
	ck_assert_uint_eq(def.autoexpire_s, 7);
	ck_assert(def.has_initval && def.initval == -3 && !def.updateexpire);
	ck_assert_uint_eq(def.n_cols, 3);
	ck_assert(str_eq(def.cols[1], K("c1")) && str_eq(def.coldelim, K(";")) && def.colnull.n == 0);
}
END_TEST

static struct ht_table *plain, *timed, *kept, *counted;

static struct ht_table *table(const char *text)
{
	struct ht_def def;
	int err;

	ck_assert_int_eq(ht_def_parse(str_lit(text), &def, NULL), 0);
	err = ht_table_add(&def, str_lit(text));
	ck_assert(err == 0 || err == -EEXIST);
	return ht_table_find(def.name);
}

static void setup(void)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	plain = table("plain=>size=4");
	timed = table("timed=>size=4;autoexpire=10");
	kept = table("kept=>autoexpire=10;updateexpire=0");
	counted = table("counted=>initval=5;autoexpire=10");
	ck_assert_int_eq(ht_tables_init(), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(ht_check(), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	shm_slot_release();
	shm_arena_destroy();
}

static void put_int(struct ht_table *t, const char *key, int64_t n, int64_t now)
{
	struct value v = value_int(n);

	ck_assert_int_eq(ht_set(t, str_lit(key), &v, HT_EXPIRE_RULE, now), 0);
}

static void put_str(struct ht_table *t, const char *key, const char *text, int64_t now)
{
	struct value v = value_str(str_lit(text));

	ck_assert_int_eq(ht_set(t, str_lit(key), &v, HT_EXPIRE_RULE, now), 0);
}

static void want_int(struct ht_table *t, const char *key, int64_t n, int64_t now)
{
	struct value v;

	ck_assert_int_eq(ht_get(t, str_lit(key), now, &v), 1);
	ck_assert_int_eq(v.kind, VALUE_INT);
	ck_assert_int_eq(v.i, n);
}

static void want_str(struct ht_table *t, const char *key, const char *text, int64_t now)
{
	struct value v;

	ck_assert_int_eq(ht_get(t, str_lit(key), now, &v), 1);
	ck_assert_int_eq(v.kind, VALUE_STR);
	ck_assert_msg(str_eq(v.s, str_lit(text)), "%.*s", STR_FMT(v.s));
}

static void reset(struct ht_table *t)
{
	for (uint32_t i = 0; i < shm_hash_n_buckets(t->hash); i++)
		ht_reset_bucket(t, i);
}

static void want_none(struct ht_table *t, const char *key, int64_t now)
{
	struct value v;

	ck_assert_int_eq(ht_get(t, str_lit(key), now, &v), 0);
}

START_TEST(values_keep_their_type)
{
	static char big[100000];
	struct value v;

	want_none(plain, "a", NOW);
	put_int(plain, "a", 1, NOW);
	want_int(plain, "a", 1, NOW);
	put_int(plain, "a", -2, NOW);
	want_int(plain, "a", -2, NOW);
	put_str(plain, "a", "text", NOW);
	want_str(plain, "a", "text", NOW);
	put_str(plain, "a", "", NOW);
	want_str(plain, "a", "", NOW);
	put_int(plain, "a", 7, NOW);
	want_int(plain, "a", 7, NOW + 1000000);
	ck_assert(ht_del(plain, K("a")));
	ck_assert(!ht_del(plain, K("a")));
	want_none(plain, "a", NOW);
	put_str(plain, "", "empty key", NOW);
	want_str(plain, "", "empty key", NOW);
	memset(big, 'x', sizeof(big));
	v = value_str(str_of(big, sizeof(big)));
	ck_assert_int_eq(ht_set(plain, K("big"), &v, HT_EXPIRE_RULE, NOW), 0);
	ck_assert_int_eq(ht_get(plain, K("big"), NOW, &v), 1);
	ck_assert_uint_eq(v.s.n, sizeof(big));
	ck_assert_int_eq(ht_set(plain, str_of(big, sizeof(big)), &v, HT_EXPIRE_RULE, NOW), -EMSGSIZE);
	ck_assert_int_eq(ht_add(plain, str_of(big, sizeof(big)), 1, NOW, &v), -EMSGSIZE);
	reset(plain);
	want_none(plain, "big", NOW);
	ck_assert_uint_eq(shm_hash_count(plain->hash), 0);
}
END_TEST

START_TEST(time_to_live)
{
	struct value v = value_int(1);

	put_int(timed, "a", 1, NOW);
	ck_assert_int_eq(ht_ttl(timed, K("a"), NOW + 3), 7);
	want_int(timed, "a", 1, NOW + 10);
	want_none(timed, "a", NOW + 11);
	ck_assert_int_eq(ht_ttl(timed, K("a"), NOW + 11), 0);
	put_int(timed, "a", 2, NOW + 5); /* an update starts anew */
	want_int(timed, "a", 2, NOW + 15);
	ck_assert(ht_ttl_set(timed, K("a"), 100, NOW));
	want_int(timed, "a", 2, NOW + 100);
	want_none(timed, "a", NOW + 101);
	ck_assert(ht_ttl_set(timed, K("a"), 1000, NOW + 101)); /* not removed yet: comes back */
	want_int(timed, "a", 2, NOW + 1000);
	ck_assert(!ht_ttl_set(timed, K("none"), 1000, NOW));
	ck_assert_int_eq(ht_ttl(timed, K("none"), NOW), 0);
	ck_assert_int_eq(ht_set(timed, K("b"), &v, 3, NOW), 0);
	ck_assert_int_eq(ht_ttl(timed, K("b"), NOW), 3);

	put_int(kept, "a", 1, NOW); /* updateexpire=0 */
	put_int(kept, "a", 2, NOW + 9);
	put_str(kept, "s", "1", NOW);
	put_str(kept, "s", "2", NOW + 9);
	want_int(kept, "a", 2, NOW + 10);
	want_none(kept, "a", NOW + 11);
	want_none(kept, "s", NOW + 11);
	put_int(kept, "a", 3, NOW + 12); /* that one is new */
	want_int(kept, "a", 3, NOW + 22);

	put_int(plain, "a", 1, NOW); /* no autoexpire: no time */
	ck_assert(!ht_ttl_set(plain, K("a"), 5, NOW));
	ck_assert_int_eq(ht_set(plain, K("a"), &v, 5, NOW), 0);
	ck_assert_int_eq(ht_ttl(plain, K("a"), NOW), 0);
	want_int(plain, "a", 1, NOW + 100000);
}
END_TEST

START_TEST(counting)
{
	struct value v;

	ck_assert_int_eq(ht_add(plain, K("c"), 1, NOW, &v), 0);
	ck_assert_int_eq(v.kind, VALUE_NULL);
	want_none(plain, "c", NOW);
	put_int(plain, "c", 41, NOW);
	ck_assert_int_eq(ht_add(plain, K("c"), 1, NOW, &v), 0);
	ck_assert(v.kind == VALUE_INT && v.i == 42);
	put_str(plain, "c", "text", NOW);
	ck_assert_int_eq(ht_add(plain, K("c"), 1, NOW, &v), 0);
	ck_assert_int_eq(v.kind, VALUE_NULL);
	want_str(plain, "c", "text", NOW);

	ck_assert_int_eq(ht_add(counted, K("c"), 1, NOW, &v), 0);
	ck_assert(v.kind == VALUE_INT && v.i == 6);
	ck_assert_int_eq(ht_add(counted, K("c"), 1, NOW + 10, &v), 0);
	ck_assert_int_eq(v.i, 7);
	ck_assert_int_eq(ht_add(counted, K("c"), -1, NOW + 21, &v), 0); /* expired: starts again */
	ck_assert_int_eq(v.i, 4);
	put_str(counted, "s", "text", NOW);
	ck_assert_int_eq(ht_add(counted, K("s"), 1, NOW + 11, &v), 0);
	ck_assert(v.kind == VALUE_INT && v.i == 6);
	put_int(plain, "max", INT64_MAX, NOW);
	ck_assert_int_eq(ht_add(plain, K("max"), 1, NOW, &v), 0);
	ck_assert_int_eq(v.i, INT64_MIN);
}
END_TEST

static unsigned rows_of(struct ht_table *t, enum ht_filter filter, int64_t now)
{
	struct ht_snap snap = { 0 };
	struct ht_row row;
	unsigned n = 0;

	for (uint32_t i = 0; i < shm_hash_n_buckets(t->hash); i++) {
		size_t pos = 0;

		ck_assert_int_eq(ht_snap_bucket(t, i, filter, now, &snap), 0);
		while (ht_snap_next(&snap, &pos, &row)) {
			ck_assert(row.value.kind == VALUE_STR || row.value.kind == VALUE_INT);
			n++;
		}
	}
	ht_snap_done(&snap);
	return n;
}

static void fill(struct ht_table *t, unsigned n, int64_t now)
{
	char key[32];

	for (unsigned i = 0; i < n; i++) {
		int len = snprintf(key, sizeof(key), "key-%u", i);

		ck_assert_int_gt(len, 0);
		if (i % 2)
			put_int(t, key, i, now);
		else
			put_str(t, key, "some text that is longer than a number", now);
	}
}

START_TEST(many_items_grow_expire_and_reload)
{
	unsigned n = 0;
	uint32_t gen;

	fill(timed, 5000, NOW);
	ck_assert_uint_gt(shm_hash_n_buckets(timed->hash), 1000);
	ck_assert_uint_eq(rows_of(timed, HT_LIVE, NOW), 5000);
	ck_assert_uint_eq(rows_of(timed, HT_EXPIRED, NOW + 11), 5000);
	put_int(timed, "key-1", 1, NOW + 5);
	ck_assert(!ht_expire_key(timed, K("key-1"), NOW + 11));
	ck_assert(ht_expire_key(timed, K("key-3"), NOW + 11));
	for (uint32_t i = 0; i < shm_hash_n_buckets(timed->hash); i++)
		n += ht_expire_bucket(timed, i, NOW + 11);
	ck_assert_uint_eq(n, 4998);
	ck_assert_uint_eq(shm_hash_count(timed->hash), 1);

	fill(plain, 200, NOW);
	gen = ht_reload_begin(plain);
	fill(plain, 150, NOW);
	put_int(plain, "by a script meanwhile", 1, NOW);
	ck_assert_uint_eq(ht_reload_begin(plain), gen + 1); /* the next one sweeps its own */
	for (uint32_t i = 0; i < shm_hash_n_buckets(plain->hash); i++)
		ht_reload_sweep(plain, i, gen);
	ht_reload_end(plain);
	ck_assert_uint_eq(rows_of(plain, HT_ALL, NOW), 151);
	ck_assert_uint_eq(atomic_load(&plain->shared->n_reloaded), 1);
}
END_TEST

START_TEST(full_arena_refuses_and_recovers)
{
	static char big[1 << 20];
	struct value v = value_str(str_of(big, sizeof(big)));
	char key[32];
	int err = 0;
	unsigned i;

	for (i = 0; i < 1000 && err == 0; i++) {
		int n = snprintf(key, sizeof(key), "%u", i);

		err = ht_set(plain, str_of(key, (size_t)n), &v, HT_EXPIRE_RULE, NOW);
	}
	ck_assert_int_eq(err, -ENOSPC);
	want_none(plain, key, NOW);
	reset(plain);
	ck_assert_int_eq(ht_set(plain, K("again"), &v, HT_EXPIRE_RULE, NOW), 0);
}
END_TEST

START_TEST(locks_are_per_slot)
{
	ctx_lock_word *word = ht_lock_word(plain, K("k"));

	ck_assert_ptr_eq(word, ht_lock_word(plain, K("k")));
	ck_assert_ptr_ne(word, ht_lock_word(timed, K("k")));
	*word = *ht_lock_word(timed, K("k")) = 1; /* slot 0 */
	ht_locks_recover(1); /* another slot */
	ck_assert_uint_eq(*word, 1);
	ht_locks_recover(0);
	ck_assert_uint_eq(*word, 0);
	ck_assert_uint_eq(*ht_lock_word(timed, K("k")), 0);
}
END_TEST

/* ---- deaths ---- */

static void work(void)
{
	struct value v;
	char key[16];

	plain->shared->lock[7] = (uint64_t)shm_slot_self() + 1u;
	for (unsigned i = 0; i < 600; i++) {
		int n = snprintf(key, sizeof(key), "w%u", i % 97);
		struct str k = str_of(key, (size_t)n);

		put_int(counted, "steady", 1, NOW + i);
		v = i % 3 ? value_int(i) : value_str(K("a text of some length, to be whole or not there"));
		if (ht_set(plain, k, &v, HT_EXPIRE_RULE, NOW) < 0 || ht_set(timed, k, &v, HT_EXPIRE_RULE, NOW + i % 50) < 0)
			_exit(3);
		if (i % 5 == 0)
			(void)ht_del(plain, k);
		if (ht_add(counted, k, 1, NOW, &v) < 0)
			_exit(3);
		(void)ht_expire_bucket(timed, i % shm_hash_n_buckets(timed->hash), NOW + 30);
		if (i % 200 == 199)
			reset(timed);
	}
}

static const char *const points[] = {
	"htable.set.number", "htable.set.expire", "htable.put.unlocked", "hash.push.begin", "hash.push.after", "hash.push.live",
	"hash.replace.begin", "hash.replace.stored", "hash.replace.live", "hash.remove.begin", "hash.remove.retired",
	"hash.remove.unlinked", "hash.split.node", "slab.alloc.taken", "slab.free.cached",
};

static pid_t fork_worker(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	return pid;
}

START_TEST(a_worker_dies_anywhere)
{
#ifdef RF_CRASH_POINTS
	struct ht_row row;
	struct ht_snap snap = { 0 };

	ck_assert_int_eq(shm_recover_register("htable", ht_locks_recover), 0);
	for (unsigned nth = 1; nth <= 64; nth *= 4) {
		int status = 0;
		pid_t pid = fork_worker();

		if (pid == 0) {
			if (shm_slot_take(1, SHM_SLOT_TEST) < 0 || shm_crash_arm(points[_i], nth) < 0)
				_exit(4);
			work();
			shm_slot_release();
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s:%u: status %x", points[_i], nth, (unsigned)status);
		ck_assert_int_eq(shm_slot_mark_dead(1), 0);
		ck_assert_int_eq(shm_recover_slot(1), 0);
		ck_assert_int_eq(ht_check(), 0);
		ck_assert_int_eq(shm_check_all(NULL), 0);
		ck_assert_uint_eq(shm_arena_leaked(), 0);
		ck_assert_uint_eq(plain->shared->lock[7], 0); /* it held that one */
		for (uint32_t i = 0; i < shm_hash_n_buckets(plain->hash); i++) {
			size_t pos = 0;

			ck_assert_int_eq(ht_snap_bucket(plain, i, HT_ALL, NOW, &snap), 0);
			while (ht_snap_next(&snap, &pos, &row))
				ck_assert(row.value.kind == VALUE_INT ||
				          str_eq(row.value.s, K("a text of some length, to be whole or not there")));
		}
		put_int(plain, "on it goes", 1, NOW);
		want_int(plain, "on it goes", 1, NOW);
	}
	ht_snap_done(&snap);
#else
	(void)work;
	ck_assert_str_ne(points[_i], "");
#endif
}
END_TEST

START_TEST(workers_count_without_losing_one)
{
	enum { N = 3, EACH = 3000 };
	struct value v;
	pid_t pid[N];
	int status;

	for (unsigned i = 0; i < N; i++) {
		pid[i] = fork_worker();
		if (pid[i] == 0) {
			if (shm_slot_take(i + 1, SHM_SLOT_TEST) < 0)
				_exit(4);
			for (unsigned k = 0; k < EACH; k++) {
				if (ht_add(counted, K("all"), 1, NOW, &v) < 0)
					_exit(3);
			}
			shm_slot_release();
			_exit(0);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
	want_int(counted, "all", 5 + N * EACH, NOW);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("htable");
	TCase *tc = tcase_create("definitions");

	tcase_add_loop_test(tc, definitions, 0, (int)ARRAY_LEN(defs));
	tcase_add_test(tc, definition_values);
	suite_add_tcase(s, tc);
	tc = tcase_create("tables");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, values_keep_their_type);
	tcase_add_test(tc, time_to_live);
	tcase_add_test(tc, counting);
	tcase_add_test(tc, many_items_grow_expire_and_reload);
	tcase_add_test(tc, full_arena_refuses_and_recovers);
	tcase_add_test(tc, locks_are_per_slot);
	tcase_add_test(tc, workers_count_without_losing_one);
	suite_add_tcase(s, tc);
	tc = tcase_create("deaths");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_worker_dies_anywhere, 0, (int)ARRAY_LEN(points));
	suite_add_tcase(s, tc);
	return s;
}
