/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory that is full: each allocation of an operation fails in turn. It says -ENOSPC (or works without, where that is the
 * rule), leaks nothing, leaves what was there, and works once there is memory again. And the same for malloc.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/net/listener.h"
#include "modules/auth_db/cache.h"
#include "modules/htable/table.h"
#include "modules/pike/tree.h"
#include "modules/usrloc/ul_db.h"
#include "modules/usrloc/ul_store.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

#define T0 1800000000
#define TRIES_MAX 100u

struct ul_conf ul_conf;
static struct ul_domain *dom;
static struct ht_table *table;
static struct pool *pool;
static uint64_t asked_at;

static void setup(void)
{
	struct pike_limits limits = { .limit = 1000, .unit_s = 2, .latency_s = 10 };
	struct ht_def def;

	ul_conf = (struct ul_conf){ .timer_interval = 60, .cseq_delay = 20, .hash_size = 6, .nat_bflag = -1, .db_queue_max = 64 };
	clock_fake(1000, T0);
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 256u << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(ul_domain_get(STR_LIT("location"), &dom, NULL), 0);
	ck_assert_int_eq(ul_store_init(), 0);
	ck_assert_int_eq(ht_def_parse(STR_LIT("t=>size=4;autoexpire=100;initval=0"), &def, NULL), 0);
	ck_assert_int_eq(ht_table_add(&def, STR_NULL), 0);
	ck_assert_int_eq(ht_tables_init(), 0);
	table = ht_table_at(0);
	ck_assert_int_eq(pike_tree_init(&limits), 0);
	ck_assert_int_eq(cache_init(), 0);
	pool = pool_new(4u << 20);
	ck_assert_ptr_nonnull(pool);
	asked_at = T0;
}

static void teardown(void)
{
	pool_free(pool);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	shm_slot_release();
	shm_arena_destroy();
}

/* ---- what is tried: i counts the tries, so that each makes something new ---- */

static int save_many(unsigned i)
{
	struct ul_change ch[4];
	struct ul_save s = { .changes = ch, .n_changes = ARRAY_LEN(ch), .matching_mode = -1, .pool = pool };
	char text[ARRAY_LEN(ch) * 2][64], aor[16];
	int64_t had = shm_counter_read(dom->c_contacts);
	int err;

	for (unsigned k = 0; k < ARRAY_LEN(ch); k++) {
		snprintf(text[2 * k], sizeof(text[0]), "sip:%u@10.0.0.%u:5060", i, k);
		snprintf(text[2 * k + 1], sizeof(text[0]), "agent %u of %u", k, i); /* interned */
		ch[k] = (struct ul_change){ .c = { .uri = str_lit(text[2 * k]), .callid = STR_LIT("c"), .cseq = 1 + i,
						   .user_agent = str_lit(text[2 * k + 1]), .q = UL_Q_UNSET, .listener = NET_LISTENER_NONE,
						   .methods = UL_METHODS_ALL, .expires = T0 + 3600, .path = STR_LIT("<sip:p;lr>") } };
	}
	snprintf(aor, sizeof(aor), "u%u", i % 7);
	err = ul_save(dom, str_lit(aor), &s);
	had = shm_counter_read(dom->c_contacts) - had;
	/* all of a REGISTER, or nothing of it; -ENOMEM may be about the list of what is there now. Check itself allocates: not here */
	if (had == (err == 0 ? (int64_t)ARRAY_LEN(ch) : 0) || (err == -ENOMEM && had == ARRAY_LEN(ch)))
		return err;
	return -EUCLEAN;
}

static int set_text(unsigned i)
{
	char key[32], value[600];
	struct value v;

	snprintf(key, sizeof(key), "key%u", i);
	memset(value, 'x', sizeof(value));
	v = value_str(str_of(value, 1 + i * 37 % sizeof(value)));
	return ht_set(table, str_lit(key), &v, HT_EXPIRE_RULE, T0);
}

static int set_longer(unsigned i) /* in the place of another */
{
	char value[2000];
	struct value v;

	memset(value, 'y', sizeof(value));
	v = value_str(str_of(value, 10 + i % 40 * 40));
	return ht_set(table, STR_LIT("same"), &v, HT_EXPIRE_RULE, T0);
}

static int count_up(unsigned i)
{
	struct value v;
	char key[32];

	snprintf(key, sizeof(key), "n%u", i);
	return ht_add(table, str_lit(key), 1, T0, &v);
}

static int hit(unsigned i)
{
	struct net_addr a = { .family = AF_INET, .ip = { (uint8_t)(1 + i), 2, 3, 4 } };
	shm_ref node;

	for (unsigned k = 0; k < 20; k++)
		(void)pike_tree_hit(&a, T0, &node);
	return 0;
}

static int remember(unsigned i)
{
	struct cache_key key = { .table = STR_LIT("subscriber"), .column = STR_LIT("ha1"), .user = STR_LIT("u") };
	struct cache_row row = { .found = true, .n = 1, .val = { { .type = DB_STR, .s = STR_LIT("secret") } } };
	char user[16];

	snprintf(user, sizeof(user), "u%u", i);
	key.user = str_lit(user);
	cache_put(&key, &row, cache_generation(), asked_at, 60);
	return 0;
}

/* clang-format off */
static const struct {
	const char *name;
	int (*fn)(unsigned i);
	bool may_do_without;
} ops[] = {
	{ "usrloc: four contacts",   save_many,  true }, /* texts are not shared then */
	{ "htable: a new text",      set_text,   false },
	{ "htable: a longer text",   set_longer, false },
	{ "htable: a new counter",   count_up,   false },
	{ "pike: an address",        hit,        true },
	{ "auth_db: a row",          remember,   true },
};
/* clang-format on */

static void check_all(const char *what, unsigned n)
{
	ck_assert_msg(ul_check() == 0 && ht_check() == 0 && pike_tree_check() == 0 && cache_check() == 0, "%s, allocation %u", what, n);
	ck_assert_msg(shm_check_all(NULL) == 0 && shm_arena_leaked() == 0, "%s, allocation %u: leak", what, n);
}

START_TEST(shared_memory_is_full)
{
	unsigned n = 1, i = 0;
	bool failed;

	if (shm_alloc_fail_at(0) < 0)
		return; /* a build without crash points */
	do {
		int err;

		pool_reset(pool);
		ck_assert_int_eq(shm_alloc_fail_at(n), 0);
		err = ops[_i].fn(i++);
		failed = shm_alloc_fail_end();
		ck_assert_msg((err == -ENOSPC && failed) || (err == 0 && (!failed || ops[_i].may_do_without)), "%s, allocation %u: %d",
		              ops[_i].name, n, err);
		check_all(ops[_i].name, n);
		pool_reset(pool);
		ck_assert_int_eq(ops[_i].fn(i++), 0); /* there is memory again */
		check_all(ops[_i].name, n);
	} while (failed && n++ < TRIES_MAX);
	ck_assert_uint_gt(n, 1);
	ck_assert(!failed);
}
END_TEST

START_TEST(malloc_fails)
{
	unsigned n = 1, i = 1000;
	bool failed;

	do {
		struct pool *own = pool;
		int err;

		fail_alloc_at(n);
		pool = pool_new(4u << 20);
		err = pool ? ops[_i].fn(i++) : -ENOMEM;
		pool_free(pool);
		failed = fail_alloc_end();
		pool = own;
		ck_assert_msg(err == 0 || (failed && (err == -ENOMEM || err == -ENOSPC)), "%s, malloc %u: %d", ops[_i].name, n, err);
		check_all(ops[_i].name, n);
	} while (failed && n++ < TRIES_MAX);
	ck_assert(!failed);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("full");
	TCase *t = tcase_create("full");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, shared_memory_is_full, 0, ARRAY_LEN(ops));
	tcase_add_loop_test(t, malloc_fails, 0, ARRAY_LEN(ops));
	suite_add_tcase(s, t);
	return s;
}
