/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kills a child at every crash point, recovers, and checks everything; kills the janitor too; and
 * kills at random moments while others work on.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/intent.h"
#include "shm/lock.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

#define OPS 6000u

struct job {
	struct wl *wl;
	const char *point;
	unsigned nth;
	uint64_t seed;
	unsigned n_ops;
	unsigned recover_slot;
};

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void require_sound(struct wl *wl)
{
	const char *what = "nothing";
	int err = shm_check_all(&what);

	ck_assert_msg(err == 0, "check of %s failed", what);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	wl_verify(wl);
}

static void work(void *arg)
{
	struct job *job = arg;

	if (job->point && shm_crash_arm(job->point, job->nth) < 0)
		_exit(4);
	wl_run(job->wl, job->seed, job->n_ops);
}

#ifdef RF_CRASH_POINTS

static void janitor(void *arg)
{
	struct job *job = arg;

	if (shm_crash_arm(job->point, job->nth) < 0)
		_exit(4);
	if (shm_recover_slot(job->recover_slot) < 0)
		_exit(5);
}

/* Dies in slot 1 at the point; true when it did, false when the point was not passed so often. */
static bool die_at(struct wl *wl, const char *point, unsigned nth, uint64_t seed)
{
	struct job job = { .wl = wl, .point = point, .nth = nth, .seed = seed, .n_ops = OPS };
	int status = fx_wait(fx_fork(1, work, &job));

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	ck_assert_msg(was_killed(status), "%s:%u status %x", point, nth, (unsigned)status);
	ck_assert_int_eq(shm_slot_mark_dead(1), 0);
	return true;
}

START_TEST(dies_at_each_point)
{
	static const unsigned nths[] = { 1, 2, 3, 10, 50, 200, 1000 };
	const char *point = shm_crash_name((unsigned)_i);

	for (unsigned i = 0; i < ARRAY_LEN(nths); i++) {
		struct wl *wl;
		int64_t strays;

		fx_arena(64);
		wl = wl_new(16);
		if (!die_at(wl, point, nths[i], 7 + i)) {
			ck_assert_msg(i > 0, "%s is never passed", point);
			fx_done();
			break;
		}
		ck_assert_int_eq(shm_recover_slot(1), 0);
		require_sound(wl);
		strays = wl_strays(wl, 1);
		/* the ring may not have been made yet; a piece may have been made ahead */
		ck_assert_msg(strays == 0 || strays == 1 || strays == -4 || strays == -3, "%s:%u %lld strays", point,
			      nths[i], (long long)strays);
		/* and the arena goes on being used */
		struct job more = { .wl = wl, .seed = 99, .n_ops = OPS };
		ck_assert_int_eq(fx_wait(fx_fork(1, work, &more)), 0);
		require_sound(wl);
		fx_done();
	}
}
END_TEST

/* The janitor dies as well, in its turn at each of these. */
static const char *const janitor_points[] = {
	"hash.split.node", "hash.split.end", "wheel.link.next", "wheel.link.head", "wheel.unlink.forward",
	"hash.remove.unlinked", "slab.flush.one", "slab.span.release.begin", "slab.span.release.large",
	"pages.give.unlisted", "pages.give.merged",
};

START_TEST(janitor_dies_too)
{
	const char *point = shm_crash_name((unsigned)_i);

	for (unsigned i = 0; i < ARRAY_LEN(janitor_points); i++) {
		struct wl *wl;
		struct job job;
		int status;

		fx_arena(64);
		wl = wl_new(16);
		ck_assert(die_at(wl, point, 1, 31 + i));
		job = (struct job){ .point = janitor_points[i], .nth = 1 + i % 3, .recover_slot = 1 };
		status = fx_wait(fx_fork(2, janitor, &job));
		if (was_killed(status)) {
			bool first = i & 1;

			ck_assert_int_eq(shm_slot_mark_dead(2), 0);
			ck_assert_msg(shm_recover_slot(first ? 1 : 2) == 0, "first after %s", job.point);
			ck_assert_msg(shm_recover_slot(first ? 2 : 1) == 0, "second after %s", job.point);
		} else {
			ck_assert_int_eq(status, 0);
		}
		require_sound(wl);
		fx_done();
	}
}
END_TEST

/* The next janitor finds nothing left to do for the slot, and that is no failure. */
START_TEST(janitor_dies_with_its_work_done)
{
	struct job job = { .point = "recover.freed", .nth = 1, .recover_slot = 1 };
	struct wl *wl;
	int status;

	fx_arena(64);
	wl = wl_new(16);
	ck_assert(die_at(wl, "hash.push.live", 1, 3));
	status = fx_wait(fx_fork(2, janitor, &job));
	ck_assert_msg(was_killed(status), "status %x", (unsigned)status);
	ck_assert_int_eq(shm_slot_mark_dead(2), 0);
	ck_assert_int_eq(shm_recover_slot(2), 0);
	ck_assert_int_eq(shm_recover_slot(1), 0);
	require_sound(wl);
	fx_done();
}
END_TEST

#endif

/* Waits a random moment, so that the kill comes at any instruction. */
static void pause_up_to(uint64_t *seed, long max_us)
{
	struct timespec ts = { 0 };

	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	ts.tv_nsec = (long)(*seed >> 33) % max_us * 1000;
	(void)nanosleep(&ts, NULL);
}

static void mark_later(void *arg)
{
	struct job *job = arg;

	pause_up_to(&job->seed, 300);
	(void)!shm_slot_mark_dead(job->recover_slot);
}

/* a is dead and known to be; b dies too, and that is told while the janitor is at work after a. */
static void recover_two(struct wl *wl, struct job *jobs, pid_t *pids, unsigned a, unsigned b, uint64_t seed)
{
	struct job later = { .seed = seed, .recover_slot = b + 1 };
	struct shm_slot_info info;
	int err = shm_slot_mark_dead(a + 1);
	pid_t teller;

	ck_assert_int_eq(kill(pids[b], SIGKILL), 0);
	ck_assert(was_killed(fx_wait(pids[b])));
	teller = fx_fork(7, mark_later, &later);
	if (err == 0)
		ck_assert_int_eq(shm_recover_slot(a + 1), 0);
	ck_assert_int_eq(fx_wait(teller), 0);
	ck_assert_int_eq(shm_slot_info(b + 1, &info), 0);
	if (info.state == SHM_SLOT_DEAD)
		ck_assert_int_eq(shm_recover_slot(b + 1), 0);
	jobs[b] = (struct job){ .wl = wl, .seed = seed ^ 1, .n_ops = 1u << 30 };
	pids[b] = fx_fork(b + 1, work, &jobs[b]);
}

START_TEST(killed_at_random_while_others_work)
{
	enum { N = 3, KILLS = 200 };
	struct job jobs[N];
	pid_t pids[N];
	uint64_t seed = 4711;
	struct wl *wl;

	fx_arena(128);
	wl = wl_new(16);
	for (unsigned i = 0; i < N; i++) {
		jobs[i] = (struct job){ .wl = wl, .seed = i + 1, .n_ops = 1u << 30 };
		pids[i] = fx_fork(i + 1, work, &jobs[i]);
	}
	for (unsigned k = 0; k < KILLS; k++) {
		unsigned i = k % N;

		pause_up_to(&seed, 20000);
		ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
		ck_assert(was_killed(fx_wait(pids[i])));
		if (k % 4 == 0)
			recover_two(wl, jobs, pids, i, (i + 1) % N, seed);
		else if (shm_slot_mark_dead(i + 1) == 0) /* else it had not taken its slot yet */
			ck_assert_int_eq(shm_recover_slot(i + 1), 0);
		if (k % 20 == 0) {
			const char *what = "nothing";

			ck_assert_msg(shm_check_all(&what) == 0, "kill %u: check of %s failed", k, what);
		}
		jobs[i].seed = seed;
		pids[i] = fx_fork(i + 1, work, &jobs[i]);
	}
	/* All at once: one may wait for a lock of another that is dead. */
	for (unsigned i = 0; i < N; i++)
		ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
	for (unsigned i = 0; i < N; i++)
		ck_assert(was_killed(fx_wait(pids[i])));
	for (unsigned i = 0; i < N; i++) {
		struct shm_slot_info info;

		ck_assert_int_eq(shm_slot_info(i + 1, &info), 0);
		if (info.state == SHM_SLOT_ACTIVE)
			ck_assert_int_eq(shm_slot_mark_dead(i + 1), 0);
	}
	for (unsigned i = N; i-- > 0;) {
		struct shm_slot_info info;

		ck_assert_int_eq(shm_slot_info(i + 1, &info), 0);
		if (info.state == SHM_SLOT_DEAD)
			ck_assert_int_eq(shm_recover_slot(i + 1), 0);
	}
	require_sound(wl);
	ck_assert_int_le(wl_strays(wl, 3), 1);
	fx_done();
}
END_TEST

/* --- what modules add --- */

static int n_redone, n_stepped, redo_op;
static uint64_t redone_arg;

static int module_redo(const struct shm_intent *intent)
{
	n_redone++;
	redone_arg = intent->arg[1];
	return 0;
}

static int module_step(unsigned slot)
{
	n_stepped += slot == 1;
	return 0;
}

static int module_check(void)
{
	return 0;
}

static void die_with_intent(void *arg)
{
	struct shm_lock *lock = arg;
	uint64_t args[] = { 5, 77 };
	void *lost = shm_alloc(500);

	if (!lost)
		_exit(6);
	shm_lock_take(lock, SHM_RANK_MODULE);
	shm_intent_begin(redo_op, args, 2);
	(void)kill(getpid(), SIGKILL);
}

START_TEST(modules_take_part)
{
	struct shm_lock *lock;
	struct shm_slot_info info;

	fx_arena(16);
	redo_op = shm_intent_register("test.op", module_redo);
	ck_assert_int_gt(redo_op, 0);
	ck_assert_int_eq(shm_recover_register("test", module_step), 0);
	ck_assert_int_eq(shm_check_register("test", module_check), 0);
	lock = shm_zalloc(sizeof(*lock));
	ck_assert_ptr_nonnull(lock);
	shm_publish(lock);
	ck_assert(was_killed(fx_wait(fx_fork(1, die_with_intent, lock))));
	ck_assert_int_eq(shm_recover_slot(1), -EINVAL); /* not said to be dead */
	ck_assert_int_eq(shm_slot_mark_dead(1), 0);
	ck_assert_int_eq(shm_slot_mark_dead(1), -ENOENT);
	ck_assert_int_eq(shm_lock_owner(lock), 1);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), -EBUSY);
	ck_assert_uint_eq(shm_arena_leaked() > 0, 1);
	ck_assert_int_eq(shm_slot_info(1, &info), 0);
	ck_assert_uint_eq(info.n_locks_held, 1);
	ck_assert_int_eq(shm_recover_slot(1), 0);
	ck_assert_int_eq(n_redone, 1);
	ck_assert_uint_eq(redone_arg, 77);
	ck_assert_int_eq(n_stepped, 1);
	ck_assert_int_eq(shm_lock_owner(lock), -1);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	shm_free(lock);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm recovery");
	TCase *tc = tcase_create("modules");
#ifdef RF_CRASH_POINTS
	int n_points = 0;
#endif

	tcase_add_test(tc, modules_take_part);
	suite_add_tcase(s, tc);
#ifdef RF_CRASH_POINTS
	while (shm_crash_name((unsigned)n_points))
		n_points++;
	tc = tcase_create("points");
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, dies_at_each_point, 0, n_points);
	suite_add_tcase(s, tc);
	tc = tcase_create("janitor");
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, janitor_dies_too, 0, n_points);
	tcase_add_test(tc, janitor_dies_with_its_work_done);
	suite_add_tcase(s, tc);
#endif
	tc = tcase_create("random");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, killed_at_random_while_others_work);
	suite_add_tcase(s, tc);
	return s;
}
