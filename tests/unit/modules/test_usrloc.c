/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/usrloc: saving, matching, order, expiry, memory per contact, and a death at every crash point. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/net/listener.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/counter.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define T0 1800000000

struct ul_conf ul_conf;
static struct ul_domain *dom;
static struct pool *pool;

static void setup(void)
{
	struct shm_opts opts = { .ceiling_bytes = (uint64_t)256 << 20 };

	ul_conf = (struct ul_conf){ .timer_interval = 60, .cseq_delay = 20, .hash_size = 6, .nat_bflag = -1, .db_queue_max = 64 };
	clock_fake(1000, T0);
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(ul_domain_get(STR_LIT("location"), &dom, NULL), 0);
	ck_assert_int_eq(ul_store_init(), 0);
	pool = pool_new(64u << 20);
	ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
	pool_free(pool);
	shm_slot_release();
	shm_arena_destroy();
}

static struct ul_change change(const char *uri, const char *callid, uint32_t cseq, int64_t expires)
{
	struct ul_change ch = { .c = { .uri = str_lit(uri), .callid = str_lit(callid), .cseq = cseq, .user_agent = STR_LIT("test/1"),
				       .q = UL_Q_UNSET, .listener = NET_LISTENER_NONE, .methods = UL_METHODS_ALL } };

	ch.remove = expires == 0;
	ch.c.expires = expires ? clock_wall_s() + expires : 0;
	return ch;
}

static int save_n(const char *aor, struct ul_change *ch, unsigned n, unsigned flags, unsigned max, struct ul_list *ret_list)
{
	struct ul_save s = { .changes = ch, .n_changes = n, .flags = flags, .max_contacts = max, .matching_mode = -1, .pool = pool };
	int err = ul_save(dom, str_lit(aor), &s);

	if (ret_list)
		*ret_list = s.ret_list;
	return err;
}

static int save_one(const char *aor, const char *uri, const char *callid, uint32_t cseq, int64_t expires, enum ul_outcome *ret)
{
	struct ul_change ch = change(uri, callid, cseq, expires);
	int err = save_n(aor, &ch, 1, 0, 0, NULL);

	if (ret)
		*ret = ch.outcome;
	return err;
}

static unsigned count_of(const char *aor)
{
	struct ul_list list = { 0 };

	return ul_get(dom, str_lit(aor), pool, &list) == 0 ? list.n : 0;
}

START_TEST(register_refresh_remove)
{
	enum ul_outcome o;
	struct ul_list list;
	struct str ruid;

	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "c1", 1, 3600, &o), 0);
	ck_assert_int_eq(o, UL_O_INSERTED);
	ck_assert_int_eq(ul_get(dom, STR_LIT("alice"), pool, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert(str_eq(list.c[0].uri, STR_LIT("sip:a@1.2.3.4")));
	ck_assert(str_eq(list.c[0].user_agent, STR_LIT("test/1")));
	ck_assert(str_starts(list.c[0].ruid, STR_LIT("uloc-")));
	ck_assert_int_eq(list.c[0].expires, T0 + 3600);
	ruid = list.c[0].ruid;

	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "c1", 2, 1800, &o), 0);
	ck_assert_int_eq(o, UL_O_UPDATED);
	ck_assert_int_eq(ul_get(dom, STR_LIT("alice"), pool, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert_int_eq(list.c[0].expires, T0 + 1800);
	ck_assert(str_eq(list.c[0].ruid, ruid));

	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "c1", 2, 900, &o), 0);
	ck_assert_int_eq(o, UL_O_RETRANSMIT);
	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "c1", 1, 900, &o), -ESTALE);
	clock_fake(1000, T0 + 21);
	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "c1", 2, 900, &o), -ESTALE);
	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "other", 1, 900, &o), 0);
	ck_assert_int_eq(o, UL_O_UPDATED);

	ck_assert_int_eq(save_one("alice", "sip:b@1.2.3.4", "c1", 1, 0, &o), 0);
	ck_assert_int_eq(o, UL_O_NOTHING);
	ck_assert_int_eq(save_one("alice", "sip:a@1.2.3.4", "other", 2, 0, &o), 0);
	ck_assert_int_eq(o, UL_O_REMOVED);
	ck_assert_uint_eq(count_of("alice"), 0);
	ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
	ck_assert_int_eq(shm_counter_read(dom->c_users), 0);
	ck_assert_int_eq(shm_counter_read(dom->c_contacts), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

START_TEST(order_by_q)
{
	static const struct { const char *uri; int16_t q; } in[] = { { "sip:1@h", 500 }, { "sip:2@h", UL_Q_UNSET }, { "sip:3@h", 1000 }, { "sip:4@h", 500 } };
	static const char *const want[] = { "sip:3@h", "sip:1@h", "sip:4@h", "sip:2@h" };
	struct ul_list list;
	struct ul_change ch;

	for (unsigned i = 0; i < ARRAY_LEN(in); i++) {
		ch = change(in[i].uri, in[i].uri, 1, 100);
		ch.c.q = in[i].q;
		ck_assert_int_eq(save_n("q", &ch, 1, 0, 0, &list), 0);
	}
	for (unsigned i = 0; i < list.n; i++)
		ck_assert(str_eq(list.c[i].uri, str_lit(want[i])));
	ch = change("sip:2@h", "sip:2@h", 2, 100);
	ch.c.q = 900;
	ck_assert_int_eq(save_n("q", &ch, 1, 0, 0, &list), 0);
	ck_assert_uint_eq(list.n, 4);
	ck_assert(str_eq(list.c[1].uri, STR_LIT("sip:2@h")));
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(limits_and_flags)
{
	struct ul_change two[2] = { change("sip:1@h", "a", 1, 100), change("sip:2@h", "b", 1, 100) }, one;
	struct ul_list list;

	ck_assert_int_eq(save_n("m", two, 2, 0, 1, NULL), -E2BIG);
	ck_assert_uint_eq(count_of("m"), 0);
	ck_assert_int_eq(save_n("m", two, 2, 0, 2, NULL), 0);
	one = change("sip:3@h", "c", 1, 100);
	ck_assert_int_eq(save_n("m", &one, 1, 0, 2, NULL), -E2BIG);
	one = change("sip:1@h", "a", 2, 200);
	ck_assert_int_eq(save_n("m", &one, 1, 0, 2, NULL), 0);
	/* one goes, one comes */
	two[0] = change("sip:1@h", "a", 3, 0);
	two[1] = change("sip:3@h", "c", 1, 100);
	ck_assert_int_eq(save_n("m", two, 2, 0, 2, &list), 0);
	ck_assert_uint_eq(list.n, 2);
	one = change("sip:4@h", "d", 1, 100);
	ck_assert_int_eq(save_n("m", &one, 1, UL_SAVE_ONE, 1, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert(str_eq(list.c[0].uri, STR_LIT("sip:4@h")));
	/* the phone that had to go says goodbye: that is not the other one's end */
	one = change("sip:1@h", "a", 9, 0);
	ck_assert_int_eq(save_n("m", &one, 1, UL_SAVE_ONE, 1, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	/* one is one, also of those in one message */
	two[0] = change("sip:4@h", "d", 2, 100);
	two[1] = change("sip:5@h", "d", 2, 100);
	ck_assert_int_eq(save_n("m", two, 2, UL_SAVE_ONE, 1, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert(str_eq(list.c[0].uri, STR_LIT("sip:5@h")));
	ck_assert_int_eq(save_n("m", NULL, 0, UL_SAVE_REMOVE_ALL, 0, &list), 0);
	ck_assert_uint_eq(list.n, 0);
	ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
	/* the same contact twice in one message: the last counts */
	two[0] = change("sip:1@h", "a", 1, 100);
	two[1] = change("sip:1@h", "a", 1, 300);
	ck_assert_int_eq(save_n("m", two, 2, 0, 1, &list), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert_int_eq(list.c[0].expires, T0 + 300);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

/* Without max_contacts, too, an AoR does not grow until looking at it takes a while. */
START_TEST(an_aor_has_an_end)
{
	struct ul_change one;
	char uri[32];

	for (unsigned i = 0; i < UL_AOR_CONTACTS_MAX; i++) {
		snprintf(uri, sizeof(uri), "sip:%u@h", i);
		ck_assert_int_eq(save_one("e", uri, "c", i + 1, 100, NULL), 0);
	}
	ck_assert_int_eq(save_one("e", "sip:more@h", "c", 9999, 100, NULL), -E2BIG);
	ck_assert_int_eq(save_one("e", "sip:7@h", "c", 9999, 200, NULL), 0);
	ck_assert_int_eq(save_one("e", "sip:7@h", "c", 10000, 0, NULL), 0);
	ck_assert_int_eq(save_one("e", "sip:more@h", "c", 10001, 100, NULL), 0);
	one = change("sip:one@h", "d", 1, 100);
	ck_assert_int_eq(save_n("e", &one, 1, UL_SAVE_ONE, 0, NULL), 0);
	ck_assert_uint_eq(count_of("e"), 1);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(instance_and_regid)
{
	struct ul_change ch = change("sip:1@h", "a", 5, 100);
	struct ul_list list;

	ch.c.instance = STR_LIT("<urn:uuid:1>");
	ch.c.reg_id = 1;
	ck_assert_int_eq(save_n("i", &ch, 1, 0, 0, NULL), 0);
	/* another flow of the same phone */
	ch.c.uri = STR_LIT("sip:2@h");
	ch.c.reg_id = 2;
	ck_assert_int_eq(save_n("i", &ch, 1, 0, 0, &list), 0);
	ck_assert_uint_eq(list.n, 2);
	/* same flow, new address, lower CSeq after a reboot */
	ch.c.uri = STR_LIT("sip:3@h");
	ch.c.cseq = 1;
	ck_assert_int_eq(save_n("i", &ch, 1, 0, 0, &list), 0);
	ck_assert_uint_eq(list.n, 2);
	ck_assert_int_eq(ch.outcome, UL_O_UPDATED);
	/* two changes that would take the same contact: one does, the other is new */
	struct ul_change two[2] = { change("sip:9@h", "z", 1, 100), change("sip:9@h", "z", 1, 100) };
	two[1].c.instance = STR_LIT("<urn:uuid:1>");
	two[1].c.reg_id = 2;
	ck_assert_int_eq(save_n("i", two, 2, 0, 0, &list), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(matching_modes)
{
	static const unsigned want[] = { 1, 2, 2, 1 }; /* contacts after the second REGISTER */
	struct ul_change ch = change("sip:1@h", "a", 1, 100);
	struct ul_list list;

	ul_conf.matching_mode = _i;
	ck_assert_int_eq(save_n("mm", &ch, 1, 0, 0, NULL), 0);
	ch = change(_i == 3 ? "sip:2@h" : "sip:1@h", _i == 3 ? "a" : "b", 2, 100);
	ch.c.path = STR_LIT("<sip:p;lr>");
	ck_assert_int_eq(save_n("mm", &ch, 1, 0, 0, &list), 0);
	ck_assert_uint_eq(list.n, want[_i]);
	if (_i != 2)
		return;
	ch = change("sip:1@h", "c", 3, 0); /* without a path: by contact alone */
	ch.c.path = STR_NULL;
	ck_assert_int_eq(save_n("mm", &ch, 1, 0, 0, &list), 0);
	ck_assert_int_eq(ch.outcome, UL_O_REMOVED);
	ck_assert_uint_eq(list.n, 1);
}
END_TEST

START_TEST(expiry)
{
	char aor[16];
	unsigned n;

	for (unsigned i = 0; i < 200; i++) {
		snprintf(aor, sizeof(aor), "u%u", i);
		ck_assert_int_eq(save_one(aor, "sip:x@h", "c", 1, 100 + i, NULL), 0);
		ck_assert_int_eq(save_one(aor, "sip:y@h", "c", 1, 5000, NULL), 0);
	}
	clock_fake(1000, T0 + 200);
	ck_assert_uint_eq(count_of("u0"), 1);
	ck_assert_uint_eq(count_of("u150"), 2);
	ck_assert_int_eq(shm_counter_read(dom->c_contacts), 400);
	n = shm_hash_n_buckets(dom->hash);
	ul_timer_slice(n);
	ck_assert_int_eq(shm_counter_read(dom->c_contacts), 400 - 101);
	ck_assert_int_eq(shm_counter_read(dom->c_expires), 101);
	clock_fake(1000, T0 + 6000);
	ul_timer_slice(2 * n);
	ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
	ck_assert_int_eq(shm_counter_read(dom->c_users), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

/* clang-format off */
static const struct { const char *in; bool ours; } ruids[] = {
	{ "uloc-6741f2a0-1b3c-1",      true  },
	{ "ulcx-1-2-ffffffff",         true  },
	{ "uloc-6741f2a0-1b3c",        false },
	{ "uloc-06741f2a-1b3c-1",      false },
	{ "uloc-6741F2A0-1b3c-1",      false },
	{ "uloc-1f-6741f2a0-1b3c-1",   true  }, /* of the server with id 31 */
	{ "uloc-0-6741f2a0-1b3c-1",    false },
	{ "uloc-1f-6741f2a0-1b3c-1-2", false },
	{ "uloc-100000000-1b3c-1",     false },
	{ "something else",            false },
	{ "",                          false },
};
/* clang-format on */

START_TEST(ruid_texts)
{
	struct ul_cell c = { 0 };
	char out[UL_RUID_MAX];
	bool ours = ul_ruid_parse(str_lit(ruids[_i].in), &c);

	ck_assert_int_eq(ours, ruids[_i].ours);
	if (ours)
		ck_assert(str_eq(str_of(out, ul_ruid_text(&c, out)), str_lit(ruids[_i].in)));
}
END_TEST

START_TEST(bytes_per_contact)
{
	enum { N = 20000 };
	struct shm_stats before, after;

	shm_arena_stats(&before);
	for (unsigned i = 0; i < N; i++) {
		char aor[16], uri[64], callid[32];

		snprintf(aor, sizeof(aor), "u%u", i);
		snprintf(uri, sizeof(uri), "sip:u%u@127.0.0.1:19999;ob", i);
		snprintf(callid, sizeof(callid), "s12g%u@l", i);
		ck_assert_int_eq(save_one(aor, uri, callid, 1, 3600, NULL), 0);
		pool_reset(pool);
	}
	shm_arena_stats(&after);
	ck_assert_uint_le((after.used_bytes - before.used_bytes) / N, 400);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(full_arena_refuses)
{
	char big[400];
	unsigned n = 0;
	int err = 0;

	memset(big, 'x', sizeof(big));
	for (; n < 2000000 && err == 0; n++) {
		char aor[16];
		struct ul_change ch = change("sip:a@h", "c", 1, 100);

		ch.c.path = str_of(big, sizeof(big));
		snprintf(aor, sizeof(aor), "f%u", n);
		err = save_n(aor, &ch, 1, 0, 0, NULL);
		pool_reset(pool);
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(count_of("f0"), 1);
	ck_assert_int_eq(save_one("f1", "sip:a@h", "c", 2, 0, NULL), 0);
	ck_assert_uint_eq(count_of("f1"), 0);
}
END_TEST

/* ---- death anywhere ---- */

static const char *const points[] = {
	"usrloc.change.begin", "usrloc.change.intent", "usrloc.change.retired", "usrloc.change.swapped", "usrloc.change.linked",
	"usrloc.change.unlinked", "usrloc.change.published", "usrloc.change.counted", "usrloc.change.end", "usrloc.aor.empty",
	"usrloc.aor.removed", "usrloc.aor.inserted", "usrloc.free", "usrloc.save.filled", "usrloc.save.unlocked",
	"slab.alloc.taken", "slab.free.cached", "hash.push.before", "hash.push.after", "hash.remove.unlinked",
};

/* What the client was told, in memory that outlives the child. Each step leaves so many contacts. */
static const struct { const char *uri; uint32_t cseq; int expires; int q; unsigned contacts; } steps[] = {
	{ "sip:1@h", 1, 100, 0, 1 },   /* new AoR */
	{ "sip:1@h", 2, 200, 0, 1 },   /* in its place */
	{ "sip:2@h", 3, 100, 500, 2 }, /* in front */
	{ "sip:1@h", 4, 300, 900, 2 }, /* moves to the front */
	{ "sip:2@h", 5, 0, 0, 1 },     /* one goes */
	{ "sip:1@h", 6, 0, 0, 0 },     /* the AoR goes */
	{ "sip:3@h", 7, 100, 0, 1 },
};
static _Atomic unsigned *acked;

static void run_steps(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		struct ul_change ch = change(steps[i].uri, "crash", steps[i].cseq, steps[i].expires);

		ch.c.q = (int16_t)steps[i].q;
		if (save_n("victim", &ch, 1, 0, 0, NULL) != 0)
			_exit(4);
		atomic_store(acked, i + 1);
	}
}

static bool state_is(unsigned n_steps)
{
	struct ul_list list = { 0 };
	unsigned want = n_steps ? steps[n_steps - 1].contacts : 0;
	int err = ul_get_all(dom, STR_LIT("victim"), pool, &list);

	if (want == 0)
		return err == -ENOENT;
	if (err != 0 || list.n != want)
		return false;
	if (steps[n_steps - 1].expires == 0)
		return true;
	for (unsigned i = 0; i < list.n; i++)
		if (str_eq(list.c[i].uri, str_lit(steps[n_steps - 1].uri)))
			return list.c[i].expires == T0 + steps[n_steps - 1].expires && list.c[i].q == steps[n_steps - 1].q;
	return false;
}

static void die_at(const char *point, unsigned nth, bool *ret_died)
{
	pid_t pid;
	int status;

	atomic_store(acked, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(1, SHM_SLOT_TEST) != 0 || shm_crash_arm(point, nth) != 0)
			_exit(3);
		run_steps();
		shm_slot_release();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	*ret_died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	ck_assert(*ret_died || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

START_TEST(death_anywhere)
{
	unsigned hits = 0;

	acked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(acked != MAP_FAILED);
	for (unsigned nth = 1; nth < 40; nth++) {
		bool died;
		unsigned told;

		die_at(points[_i], nth, &died);
		told = atomic_load(acked);
		if (died) {
			hits++;
			ck_assert_int_eq(shm_slot_mark_dead(1), 0);
			ck_assert_int_eq(shm_recover_slot(1), 0);
		}
		ck_assert_msg(shm_check_all(NULL) == 0, "%s %u: check fails", points[_i], nth);
		ck_assert_msg(shm_arena_leaked() == 0, "%s %u: leak", points[_i], nth);
		/* all that was told is there; the step under way may be done or not */
		ck_assert_msg(state_is(told) || (told < ARRAY_LEN(steps) && state_is(told + 1)), "%s %u: after %u steps", points[_i], nth, told);
		ul_remove(dom, STR_LIT("victim"), STR_NULL, NULL);
		ul_timer_slice(shm_hash_n_buckets(dom->hash)); /* an AoR left empty goes with the sweep */
		ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
		ck_assert_msg(shm_counter_read(dom->c_contacts) == 0 && shm_counter_read(dom->c_users) == 0, "%s %u: %d contacts, %d users counted",
			      points[_i], nth, (int)shm_counter_read(dom->c_contacts), (int)shm_counter_read(dom->c_users));
		if (!died)
			break;
	}
	ck_assert_uint_gt(hits, 0);
	munmap(acked, 4096);
}
END_TEST

/* Many deaths at random moments under load; the count of live objects must come out even. */
START_TEST(random_kills)
{
	struct shm_stats before, after;

	ck_assert_int_eq(save_one("warm", "sip:1@h", "c", 1, 100, NULL), 0);
	ul_remove(dom, STR_LIT("warm"), STR_NULL, NULL);
	shm_arena_stats(&before);
	for (unsigned round = 0; round < 60; round++) {
		pid_t pid = fork();
		int status;

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			if (shm_slot_take(1, SHM_SLOT_TEST) != 0)
				_exit(3);
			for (uint32_t i = 1;; i++) {
				char aor[16];

				snprintf(aor, sizeof(aor), "r%u", i % 61);
				save_one(aor, i & 1 ? "sip:1@h" : "sip:2@h", "c", i + round * 10000000, i % 7 ? 100 : 0, NULL);
				pool_reset(pool);
			}
		}
		usleep(500 + round * 37);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (shm_slot_mark_dead(1) == 0)
			ck_assert_int_eq(shm_recover_slot(1), 0);
		ck_assert_int_eq(shm_check_all(NULL), 0);
	}
	for (unsigned i = 0; i < 61; i++) {
		char aor[16];

		snprintf(aor, sizeof(aor), "r%u", i);
		ul_remove(dom, str_lit(aor), STR_NULL, NULL);
	}
	ul_timer_slice(shm_hash_n_buckets(dom->hash));
	ck_assert_uint_eq(shm_hash_count(dom->hash), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	shm_arena_stats(&after);
	ck_assert_uint_eq(after.n_objects, before.n_objects);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("usrloc");
	TCase *tc = tcase_create("store");
	TCase *crash = tcase_create("crash");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, register_refresh_remove);
	tcase_add_test(tc, order_by_q);
	tcase_add_test(tc, limits_and_flags);
	tcase_add_test(tc, an_aor_has_an_end);
	tcase_add_test(tc, instance_and_regid);
	tcase_add_loop_test(tc, matching_modes, 0, 4);
	tcase_add_test(tc, expiry);
	tcase_add_loop_test(tc, ruid_texts, 0, ARRAY_LEN(ruids));
	tcase_add_test(tc, bytes_per_contact);
	tcase_add_test(tc, full_arena_refuses);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(crash, setup, teardown);
#ifdef RF_CRASH_POINTS
	tcase_add_loop_test(crash, death_anywhere, 0, ARRAY_LEN(points));
#else
	(void)death_anywhere;
#endif
	tcase_add_test(crash, random_kills);
	tcase_set_timeout(crash, 60);
	suite_add_tcase(suite, crash);
	return suite;
}
