/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of processes: a mapping of its own that the supervisor writes and anybody reads, whatever state the arena is in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/proc/proc_priv.h"

int proc_table_new(void)
{
	if (procs.table)
		return 0;
	procs.table = mmap(NULL, sizeof(*procs.table), PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (procs.table == MAP_FAILED) {
		procs.table = NULL;
		return -ENOMEM;
	}
	return 0;
}

void proc_table_fill(void)
{
	struct proc_table *t = procs.table;

	t->started_at = clock_wall_s();
	t->stopping = false;
	t->row[0] = (struct proc_row){
		.pid = getpid(), .rank = 0, .slot = 0, .desc = "main process - attendant"
	};
	for (unsigned i = 0; i < procs.n; i++) {
		const struct proc_child *c = &procs.child[i];
		struct proc_row *row = &t->row[i + 1];

		row->rank = c->desc->rank > 0 ? c->desc->rank + (int)c->number : c->desc->rank;
		row->slot = c->slot;
		proc_desc_text(c->desc->name, c->number, row->desc, sizeof(row->desc));
	}
	t->n = procs.n + 1;
}

struct proc_row *proc_row_of(const struct proc_child *c)
{
	return &procs.table->row[c - procs.child + 1];
}

unsigned proc_count(void)
{
	return procs.table ? procs.table->n : 0;
}

int proc_at(unsigned index, struct proc_info *ret_info)
{
	const struct proc_row *row;

	if (index >= proc_count())
		return -ENOENT;
	row = &procs.table->row[index];
	*ret_info = (struct proc_info){ .pid = row->pid,
		                        .rank = row->rank,
		                        .index = index,
		                        .slot = row->slot,
		                        .restarts = row->restarts };
	memcpy(ret_info->desc, row->desc, sizeof(ret_info->desc));
	return 0;
}

int64_t proc_started_at(void)
{
	return procs.table ? procs.table->started_at : 0;
}

/* The one conversion of a description is replaced by hand: a format that is no literal is never
 * given to printf. */
void proc_desc_text(const char *name, unsigned number, char *out, size_t cap)
{
	const char *at = strstr(name, "%u");

	if (at)
		(void)snprintf(out, cap, "%.*s%u%s", (int)(at - name), name, number, at + 2);
	else
		(void)snprintf(out, cap, "%s", name);
}
