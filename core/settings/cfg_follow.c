/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters that follow their run-time values. A parameter stays what it was, an int or a text in a process's own memory that is
 * read at no cost; between two messages each process compares one counter, and copies what changed. So a message sees one state
 * from beginning to end of a turn, and code that uses a parameter knows nothing of all this.
 *
 * A text is never written over: a run that waits may hold a view of it. The one before goes to whoever knows when such runs are over.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/settings/cfg_priv.h"
#include "core/settings/schema.h"

#define FOLLOWERS_MAX 32u
#define FOLLOWED_MAX 256u

struct followed {
	unsigned entry, follower;
	int *number;
	struct str *text;
	char *mem;        /* the text, of this process; NULL until it changed */
	uint32_t version; /* that this process has */
};

static struct {
	const struct cfg_follower *follower[FOLLOWERS_MAX];
	struct followed followed[FOLLOWED_MAX];
	unsigned n_followers, n;
	uint64_t seen;
	void (*retire)(void *mem);
} all = { .retire = free };

void cfg_retire_texts(void (*retire)(void *mem))
{
	all.retire = retire;
}

static int follow_one(const struct cfg_follower *f, const struct cfg_live *l)
{
	const struct setting *set = settings_find(f->settings, str_lit(l->param ? l->param : l->name));
	struct followed *w = &all.followed[all.n];
	char *field;
	int err;

	if (!set || (set->type != SETTING_INT_T && set->type != SETTING_STR_T))
		return -ENOENT;
	if (all.n == FOLLOWED_MAX)
		return -ENOSPC;
	field = (char *)f->conf + set->offset;
	*w = (struct followed){ .follower = all.n_followers };
	if (set->type == SETTING_INT_T)
		w->number = (int *)(void *)field;
	else
		w->text = (struct str *)(void *)field;
	err = cfg_declare(str_lit(f->group), 0, str_lit(l->name), w->number, w->number ? *w->number : 0, w->text ? *w->text : STR_LIT(""),
			  str_lit(l->desc));
	if (err < 0)
		return err;
	w->entry = cfg_state.n - 1;
	cfg_state.entries[w->entry].flags = l->flags;
	if (w->number) {
		cfg_state.entries[w->entry].min = set->min;
		cfg_state.entries[w->entry].max = set->max;
	}
	all.n++;
	return 0;
}

int cfg_follow(const struct cfg_follower *f)
{
	int err = all.n_followers < FOLLOWERS_MAX ? 0 : -ENOSPC;

	for (const struct cfg_live *l = f->live; err == 0 && l->name; l++)
		err = follow_one(f, l);
	if (err == 0)
		all.follower[all.n_followers++] = f;
	return err;
}

bool cfg_followed(const void *field, struct str *ret_group, struct str *ret_name)
{
	for (unsigned i = 0; i < all.n; i++) {
		const struct followed *w = &all.followed[i];

		if (field != w->number && field != w->text)
			continue;
		*ret_group = cfg_state.entries[w->entry].group;
		*ret_name = cfg_state.entries[w->entry].name;
		return true;
	}
	return false;
}

static void copy_text(struct followed *w, const struct cfg_cell *c)
{
	char *old = w->mem, *mem = NULL;

	if (c->n != CFG_NO_TEXT) {
		mem = malloc(c->n + 1u);
		if (!mem)
			return; /* the old value stays */
		memcpy(mem, c->s, c->n);
		mem[c->n] = '\0';
	}
	w->mem = mem;
	*w->text = mem ? str_of(mem, c->n) : STR_NULL;
	if (old)
		all.retire(old);
}

static void catch_up(void)
{
	bool changed[FOLLOWERS_MAX] = { false };

	for (unsigned i = 0; i < all.n; i++) {
		struct followed *w = &all.followed[i];
		const struct cfg_shared *v = &cfg_state.head->entry[w->entry];
		uint32_t version = atomic_load_explicit(&v->version, memory_order_acquire);
		struct cfg_cell c;

		if (version == w->version)
			continue;
		cfg_read(v, &c);
		w->version = version;
		changed[w->follower] = true;
		if (w->number)
			*w->number = (int)c.i;
		else
			copy_text(w, &c);
	}
	for (unsigned i = 0; i < all.n_followers; i++)
		if (changed[i] && all.follower[i]->changed)
			all.follower[i]->changed();
}

void cfg_catch_up(void)
{
	uint64_t now;

	if (UNLIKELY(!cfg_state.head))
		return;
	now = atomic_load_explicit(&cfg_state.head->generation, memory_order_acquire);
	if (LIKELY(now == all.seen))
		return;
	all.seen = now;
	catch_up();
}
