/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hierarchical wheel per slot: 256 lists of one tick each, then three levels of 64 lists, each
 * list as wide as the whole level below. A timer is put on the level that its distance asks for and
 * comes down as the cursor reaches its list, so adding and cancelling touch a few words, and a
 * timer fires in its own tick. Bitmaps of the lists that are not empty let the cursor jump: hours of
 * idle time cost a few steps. Work is done in slices: one timer is fired, or a few are moved
 * down, each time the lock is held.
 *
 * Lists are doubly linked. The forward links are the truth: a timer is on a list or off it by one
 * store to a forward link. Back links, bitmaps and counts are derived. The one timer that may be
 * between two lists when a process dies is named in its intent.
 *
 * A wheel whose owner has not run yet does not know the time: its timers are parked on a list of
 * their own until it does.
 */
#include "shm/wheel.h"

#include <errno.h>
#include <string.h>

#include "shm/shm_priv.h"

#define KINDS_MAX 64u
#define SLICE 64u          /* timers moved down while the lock is held once */
#define MOVES_MAX 4096u    /* and in one call of shm_wheel_run() */
#define TICKS_AHEAD_MAX 0x7fff0000u
#define HEAD_PARKED (SHM_WHEEL_HEADS - 1u)

enum { TIMER_IDLE, TIMER_PENDING };

/* Each level: its first head, and the bits of the tick below and inside its index. */
static const struct level {
	unsigned first, shift, bits;
} levels[SHM_WHEEL_LEVELS] = {
	{ 0, 0, 8 },
	{ 256, 8, 6 },
	{ 320, 14, 6 },
	{ 384, 20, 6 },
};

/* Filled before forking. */
static struct {
	const char *name;
	shm_timer_fn *fn;
} kinds[KINDS_MAX];
static unsigned n_kinds;

int shm_timer_kind_register(const char *name, shm_timer_fn *fn)
{
	if (n_kinds == KINDS_MAX)
		return -ENOSPC;
	kinds[n_kinds].name = name;
	kinds[n_kinds].fn = fn;
	return (int)n_kinds++;
}

static inline struct shm_wheel *wheel_of(unsigned slot)
{
	assert(slot < SHM_SLOTS_MAX);
	return &SHM_ARENA->wheel[slot];
}

static inline unsigned wheel_index(const struct shm_wheel *w)
{
	return (unsigned)(w - SHM_ARENA->wheel);
}

static inline struct shm_timer *timer_at(shm_ref ref)
{
	return shm_ptr(ref);
}

/* A list head and a timer both begin with the forward link. */
static inline _Atomic shm_ref *forward(shm_ref ref)
{
	return &((struct shm_whead *)shm_ptr(ref))->next;
}

static inline shm_ref load(const _Atomic shm_ref *link)
{
	return atomic_load_explicit(link, memory_order_relaxed);
}

static inline void store(_Atomic shm_ref *link, shm_ref ref)
{
	atomic_store_explicit(link, ref, memory_order_relaxed);
	SHM_STORE_ORDER();
}

static inline unsigned state_of(const struct shm_timer *t)
{
	return __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
}

static inline void state_to(struct shm_timer *t, uint8_t state)
{
	SHM_STORE_ORDER();
	__atomic_store_n(&t->state, state, __ATOMIC_RELEASE);
	SHM_STORE_ORDER();
}

static inline bool is_empty(const struct shm_wheel *w, unsigned head)
{
	return load(&w->head[head].next) == SHM_NONE;
}

/* The list for a tick as seen from the cursor; what is overdue goes where the cursor stands. */
static unsigned head_for(const struct shm_wheel *w, uint32_t tick)
{
	uint32_t cursor = (uint32_t)w->cursor;
	int32_t ahead = (int32_t)(tick - cursor);
	const struct level *l = levels;

	if (!w->started)
		return HEAD_PARKED;
	if (ahead < 0)
		tick = cursor;
	else if (ahead >= 1 << 26)
		tick = cursor + (1u << 26) - 1u; /* comes round again and is put on further then */
	while (l < &levels[SHM_WHEEL_LEVELS - 1] && (tick - cursor) >> (l->shift + l->bits) != 0)
		l++;
	return l->first + (tick >> l->shift & ((1u << l->bits) - 1u));
}

/* --- lists; lock held --- */

static void link_timer(struct shm_wheel *w, struct shm_timer *t)
{
	unsigned i = head_for(w, t->tick);
	struct shm_whead *head = &w->head[i];
	shm_ref first = load(&head->next);

	store(&t->next, first);
	store(&t->prev, shm_ref_of(head));
	CRASH_POINT("wheel.link.next");
	store(&head->next, shm_ref_of(t)); /* the truth */
	CRASH_POINT("wheel.link.head");
	if (first)
		store(&timer_at(first)->prev, shm_ref_of(t));
	CRASH_POINT("wheel.link.back");
	w->bits[i / 64] |= (uint64_t)1 << i % 64;
	w->n_timers++;
}

static void unlink_timer(struct shm_wheel *w, struct shm_timer *t)
{
	shm_ref prev = load(&t->prev), next = load(&t->next);
	uint64_t off = (uint64_t)prev * SHM_GRAIN - shm_off(w->head);

	store(forward(prev), next); /* the truth */
	CRASH_POINT("wheel.unlink.forward");
	if (next) {
		store(&timer_at(next)->prev, prev);
	} else if (off < sizeof(w->head)) {
		unsigned i = (unsigned)(off / sizeof(w->head[0]));

		w->bits[i / 64] &= ~((uint64_t)1 << i % 64);
	}
	CRASH_POINT("wheel.unlink.back");
	w->n_timers--;
}

/* Puts a timer of this wheel, linked or not, where its tick belongs. */
static void place(struct shm_wheel *w, struct shm_timer *t, uint32_t tick, uint8_t kind)
{
	shm_core_begin(SHM_OP_WHEEL_LINK, shm_off(w), shm_off(t), tick, kind, 0);
	CRASH_POINT("wheel.link.begin");
	if (state_of(t) == TIMER_PENDING) {
		unlink_timer(w, t);
		CRASH_POINT("wheel.move.unlinked");
	}
	t->tick = tick;
	t->kind = kind;
	t->wheel = (uint8_t)wheel_index(w);
	link_timer(w, t);
	state_to(t, TIMER_PENDING);
	shm_core_end();
}

static void take_off(struct shm_wheel *w, struct shm_timer *t)
{
	shm_core_begin(SHM_OP_WHEEL_UNLINK, shm_off(w), shm_off(t), 0, 0, 0);
	CRASH_POINT("wheel.unlink.begin");
	unlink_timer(w, t);
	state_to(t, TIMER_IDLE);
	shm_core_end();
}

/* --- setting and cancelling --- */

/* The wheel of a pending timer, locked; NULL when it is idle. Only its owner, firing, changes that. */
static struct shm_wheel *lock_pending(const struct shm_timer *t)
{
	struct shm_wheel *w;

	if (state_of(t) != TIMER_PENDING)
		return NULL;
	w = wheel_of(t->wheel);
	shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	if (state_of(t) == TIMER_PENDING)
		return w;
	shm_lock_release(&w->lock);
	return NULL;
}

void shm_timer_set_on(struct shm_timer *t, uint8_t kind, uint64_t when_ms, unsigned slot)
{
	uint64_t tick = when_ms / SHM_TICK_MS + (when_ms % SHM_TICK_MS != 0);
	struct shm_wheel *w = lock_pending(t);

	assert(kind < n_kinds);
	if (!w) {
		w = wheel_of(slot);
		shm_slot_seen(slot);
		shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	}
	if (w->started && tick > w->cursor + TICKS_AHEAD_MAX)
		tick = w->cursor + TICKS_AHEAD_MAX;
	else if (w->started && tick < w->cursor)
		tick = w->cursor;
	place(w, t, (uint32_t)tick, kind);
	shm_lock_release(&w->lock);
}

void shm_timer_set(struct shm_timer *t, uint8_t kind, uint64_t when_ms)
{
	assert(shm_self);
	shm_timer_set_on(t, kind, when_ms, shm_self->index);
}

bool shm_timer_del(struct shm_timer *t)
{
	struct shm_wheel *w = lock_pending(t);

	if (!w)
		return false;
	take_off(w, t);
	shm_lock_release(&w->lock);
	return true;
}

bool shm_timer_is_set(const struct shm_timer *t)
{
	return state_of(t) == TIMER_PENDING;
}

/* --- running --- */

/* First set bit at or after `from` in a level's bitmap, or the level's size. */
static unsigned next_bit(const struct shm_wheel *w, const struct level *l, unsigned from)
{
	unsigned size = 1u << l->bits;

	while (from < size) {
		uint64_t word = w->bits[(l->first + from) / 64] >> from % 64;

		if (word)
			return from + (unsigned)__builtin_ctzll(word);
		from = (from | 63u) + 1u;
	}
	return size;
}

/*
 * The next tick after c, at most limit, where a list falls due or must be moved down. On each level:
 * a list later in this round; else, if the level holds anything, the start of its next round; else
 * the level above decides.
 */
static uint64_t next_stop(const struct shm_wheel *w, uint64_t c, uint64_t limit)
{
	for (const struct level *l = levels; l < &levels[SHM_WHEEL_LEVELS]; l++) {
		unsigned size = 1u << l->bits, at = (unsigned)(c >> l->shift) & (size - 1u);
		unsigned bit = next_bit(w, l, at + 1u);
		uint64_t stop;

		if (bit < size)
			stop = ((c >> l->shift) - at + bit) << l->shift;
		else if (next_bit(w, l, 0) < size)
			stop = ((c >> (l->shift + l->bits)) + 1u) << (l->shift + l->bits);
		else
			continue;
		return stop < limit ? stop : limit;
	}
	return limit;
}

/* The list, of a higher level or the parked one, that must be moved down at the cursor; or 0. */
static unsigned head_to_move(const struct shm_wheel *w)
{
	if (!is_empty(w, HEAD_PARKED))
		return HEAD_PARKED;
	for (unsigned i = SHM_WHEEL_LEVELS - 1; i > 0; i--) {
		const struct level *l = &levels[i];
		unsigned head = l->first + ((unsigned)(w->cursor >> l->shift) & ((1u << l->bits) - 1u));

		if ((w->cursor & (((uint64_t)1 << l->shift) - 1u)) == 0 && !is_empty(w, head))
			return head;
	}
	return 0;
}

enum step { STEP_DONE, STEP_MORE, STEP_FIRE };

/* Takes the timer off its list and notes it: if we die in its handler, it is armed again. */
static void begin_fire(struct shm_wheel *w, struct shm_timer *t)
{
	struct shm_slot *self = shm_self;

	self->firing_tick = t->tick;
	self->firing_kind = t->kind;
	SHM_STORE_ORDER();
	self->firing = shm_ref_of(t);
	CRASH_POINT("wheel.fire.noted");
	take_off(w, t);
	CRASH_POINT("wheel.fire.idle");
}

static enum step step(struct shm_wheel *w, uint64_t target, struct shm_timer **ret_timer)
{
	if (!w->started) {
		w->cursor = target;
		SHM_STORE_ORDER();
		w->started = 1;
	}
	for (unsigned work = 0; work < SLICE; work++) {
		unsigned head = head_to_move(w), due = (unsigned)w->cursor & 255u;
		struct shm_timer *t;

		if (head == HEAD_PARKED || (head && w->cursor <= target)) {
			t = timer_at(load(&w->head[head].next));
			place(w, t, t->tick, t->kind);
		} else if (w->cursor > target) {
			return STEP_DONE;
		} else if (w->n_timers == 0) {
			w->cursor = target + 1u;
			return STEP_DONE;
		} else if (!is_empty(w, due)) {
			*ret_timer = timer_at(load(&w->head[due].next));
			begin_fire(w, *ret_timer);
			return STEP_FIRE;
		} else {
			w->cursor = next_stop(w, w->cursor, target + 1u);
		}
	}
	return STEP_MORE;
}

unsigned shm_wheel_run(uint64_t now_ms, unsigned budget)
{
	struct shm_slot *self = shm_self;
	struct shm_wheel *w;
	unsigned n_fired = 0, n_moves = 0;

	assert(self);
	w = wheel_of(self->index);
	while (n_fired < budget && n_moves < MOVES_MAX) {
		struct shm_timer *t = NULL;
		enum step s;

		shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
		s = step(w, now_ms / SHM_TICK_MS, &t);
		shm_lock_release(&w->lock);
		if (s == STEP_DONE)
			break;
		if (s == STEP_MORE) {
			n_moves += SLICE;
			continue;
		}
		assert(self->firing_kind < n_kinds);
		kinds[self->firing_kind].fn(t, now_ms);
		CRASH_POINT("wheel.fire.handled");
		self->firing = SHM_NONE;
		n_fired++;
	}
	return n_fired;
}

uint32_t shm_wheel_next_ms(uint64_t now_ms, uint32_t max_ms)
{
	struct shm_wheel *w;
	uint64_t now = now_ms / SHM_TICK_MS, stop, ms = max_ms;

	assert(shm_self);
	w = wheel_of(shm_self->index);
	shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	if (w->n_timers > 0) {
		if (!is_empty(w, HEAD_PARKED))
			stop = 0;
		else if (head_to_move(w) || !is_empty(w, (unsigned)w->cursor & 255u))
			stop = w->cursor;
		else
			stop = next_stop(w, w->cursor, now + max_ms / SHM_TICK_MS + 2u);
		ms = stop <= now ? 0 : stop * SHM_TICK_MS - now_ms;
	}
	shm_lock_release(&w->lock);
	return ms < max_ms ? (uint32_t)ms : max_ms;
}

/* --- checks and recovery --- */

static int check_list(const struct shm_wheel *w, unsigned i, uint32_t *n_timers)
{
	shm_ref prev = shm_ref_of(&w->head[i]);
	bool bit = w->bits[i / 64] >> i % 64 & 1;

	if (bit == is_empty(w, i))
		return -EUCLEAN;
	for (shm_ref ref = load(&w->head[i].next); ref; prev = ref, ref = load(forward(ref))) {
		const struct shm_timer *t = timer_at(ref);
		int state = shm_inside((uint64_t)ref * SHM_GRAIN) ? shm_state_of(t) : -1;

		if (state <= 0 || (state > (int)SHM_SLOTS_MAX && state != (int)SHM_STATE_LIVE))
			return -EUCLEAN; /* on a wheel, but freed */
		if (load(&t->prev) != prev || state_of(t) != TIMER_PENDING || t->wheel != wheel_index(w) ||
		    t->kind >= n_kinds)
			return -EUCLEAN;
		if (i < 256 && (int32_t)(t->tick - (uint32_t)w->cursor) >= 256)
			return -EUCLEAN;
		if (++*n_timers > w->n_timers)
			return -EUCLEAN; /* also the way out of a ring */
	}
	return 0;
}

int shm_wheel_check_one(struct shm_wheel *w)
{
	uint32_t n_timers = 0;
	int err = 0;

	shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	for (unsigned i = 0; err == 0 && i < SHM_WHEEL_HEADS; i++)
		err = check_list(w, i, &n_timers);
	if (err == 0 && n_timers != w->n_timers)
		err = -EUCLEAN;
	shm_lock_release(&w->lock);
	return err;
}

int shm_wheel_check(void)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < n; i++)
		err = shm_wheel_check_one(wheel_of(i));
	return err;
}

/* Follows the forward links; makes all else anew. drop: a timer to leave out, or NULL. */
static int rebuild(struct shm_wheel *w, const struct shm_timer *drop)
{
	memset(w->bits, 0, sizeof(w->bits));
	w->n_timers = 0;
	for (unsigned i = 0; i < SHM_WHEEL_HEADS; i++) {
		shm_ref prev = shm_ref_of(&w->head[i]), ref;

		while ((ref = load(forward(prev))) != SHM_NONE) {
			if (!shm_inside((uint64_t)ref * SHM_GRAIN))
				return -EUCLEAN;
			if (timer_at(ref) == drop) {
				store(forward(prev), load(forward(ref)));
				continue;
			}
			store(&timer_at(ref)->prev, prev);
			w->n_timers++;
			prev = ref;
		}
		if (!is_empty(w, i))
			w->bits[i / 64] |= (uint64_t)1 << i % 64;
	}
	return 0;
}

int shm_wheel_rebuild(struct shm_wheel *w)
{
	int err;

	shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	err = rebuild(w, NULL);
	shm_lock_release(&w->lock);
	return err;
}

/* Drops the timer wherever it is whole or half linked, then does what was meant. */
int shm_wheel_redo(const struct shm_intent *in)
{
	struct shm_wheel *w = shm_at(in->arg[0]);
	struct shm_timer *t = shm_at(in->arg[1]);
	int err;

	if (in->arg[0] < shm_off(SHM_ARENA->wheel) ||
	    in->arg[0] >= shm_off(SHM_ARENA->wheel) + sizeof(SHM_ARENA->wheel) || !shm_inside(in->arg[1]))
		return -EUCLEAN;
	shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
	err = rebuild(w, t);
	if (err == 0) {
		state_to(t, TIMER_IDLE);
		if (in->op == SHM_OP_WHEEL_LINK)
			place(w, t, (uint32_t)in->arg[2], (uint8_t)in->arg[3]);
	}
	shm_lock_release(&w->lock);
	return err;
}

/* Timers only ever come down, so going down too meets each of them. */
int shm_wheel_sweep(unsigned slot)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);

	for (uint32_t k = 0; k < n; k++) {
		struct shm_wheel *w = wheel_of(k);

		for (unsigned i = SHM_WHEEL_HEADS; i-- > 0;) {
			shm_ref ref, next;

			shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
			for (ref = load(&w->head[i].next); ref; ref = next) {
				next = load(forward(ref));
				if (shm_limbo_owner(timer_at(ref)) == (int)slot)
					take_off(w, timer_at(ref));
			}
			shm_lock_release(&w->lock);
		}
	}
	return 0;
}

void shm_wheel_refire(struct shm_slot *dead)
{
	struct shm_wheel *w = wheel_of(dead->index);
	struct shm_timer *t = timer_at(dead->firing);

	if (!t)
		return;
	/* Not if the handler set it again, or its object is gone and the memory is something else. */
	if (shm_is_live(t) && state_of(t) == TIMER_IDLE && t->tick == dead->firing_tick &&
	    t->kind == dead->firing_kind && dead->firing_kind < n_kinds) {
		shm_lock_acquire(&w->lock, SHM_RANK_WHEEL);
		place(w, t, (uint32_t)w->cursor, t->kind);
		shm_lock_release(&w->lock);
	}
	SHM_STORE_ORDER();
	dead->firing = SHM_NONE;
}
