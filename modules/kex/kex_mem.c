/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkg.* and mod.*: memory of processes and modules. There is no manager of private memory whose books could be shown: the kernel's
 * are, per process, and of a module the memory that comes with it. Shared memory is not booked by module.
 */
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "core/module/abi.h"
#include "core/module/loader.h"
#include "core/proc/proc.h"
#include "modules/kex/kex_mem.h"

/* ---- processes ---- */

enum filter { F_NONE, F_PID, F_RANK, F_INDEX, F_BAD };

static enum filter filter_of(struct str s)
{
	return str_ieq(s, STR_LIT("pid")) ? F_PID : str_ieq(s, STR_LIT("rank")) ? F_RANK : str_ieq(s, STR_LIT("index")) ? F_INDEX : F_BAD;
}

static bool is_wanted(const struct proc_info *p, enum filter f, int64_t n)
{
	return f == F_NONE || (f == F_PID && p->pid == n) || (f == F_RANK && p->rank == n) || (f == F_INDEX && p->index == n);
}

static void show(struct rpc *rpc, const struct proc_info *p)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);
	struct proc_memory u = { 0 };

	if (proc_memory_of(p->pid, &u) < 0)
		u = (struct proc_memory){ 0 }; /* it ended meanwhile */
	rpc_add_int(rpc, o, "entry", p->index);
	rpc_add_int(rpc, o, "pid", p->pid);
	rpc_add_int(rpc, o, "rank", p->rank);
	rpc_add_int(rpc, o, "used", u.resident);
	rpc_add_int(rpc, o, "free", u.data > u.resident ? u.data - u.resident : 0);
	rpc_add_int(rpc, o, "real_used", u.resident);
	rpc_add_int(rpc, o, "total_size", u.data);
	rpc_add_int(rpc, o, "total_frags", 0);
	rpc_add_str(rpc, o, "desc", str_lit(p->desc));
}

void kex_pkg_stats(struct rpc *rpc)
{
	enum filter f = F_NONE;
	struct proc_info p;
	struct str type;
	unsigned n = 0;
	int64_t id = 0;

	if (rpc_args_left(rpc) && rpc_arg_any_str(rpc, &type) == 0)
		f = filter_of(type);
	if (f == F_BAD) {
		rpc_fault(rpc, 500, "Invalid filter type");
		return;
	}
	if (f != F_NONE && rpc_arg_int(rpc, &id) < 0) {
		rpc_fault(rpc, 500, "One more parameter expected");
		return;
	}
	for (unsigned i = 0; i < proc_count(); i++) {
		if (proc_at(i, &p) < 0 || !is_wanted(&p, f, id))
			continue;
		show(rpc, &p);
		n++;
	}
	if (n == 0)
		rpc_fault(rpc, 500, "No such pid");
}

void kex_pkg_info(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);

	rpc_add_str(rpc, o, "name", STR_LIT("libc"));
	rpc_add_int(rpc, o, "size", 0); /* not limited */
}

/* ---- modules ---- */

struct segment {
	const void *of; /* an address in the module */
	int64_t bytes;
};

/* Memory that a loaded object's own data takes: its writable segments. */
static int add_writable(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct segment *s = arg;
	int64_t bytes = 0;
	bool here = false;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = (uintptr_t)(info->dlpi_addr + ph->p_vaddr), want = (uintptr_t)s->of;

		if (ph->p_type != PT_LOAD)
			continue;
		if (ph->p_flags & PF_W)
			bytes += (int64_t)ph->p_memsz;
		here |= want >= at && want < at + ph->p_memsz;
	}
	if (here)
		s->bytes = bytes;
	return here;
}

static void pool_object(struct rpc *rpc, const struct module *m, bool private, bool counts)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);
	struct segment s = { .of = m };

	if (private && m && dl_iterate_phdr(add_writable, &s) && s.bytes > 0) {
		if (counts)
			rpc_add_printf(rpc, o, "static data", "%lld (1)", (long long)s.bytes);
		else
			rpc_add_int(rpc, o, "static data", s.bytes);
	}
	rpc_add_int(rpc, o, "Total", s.bytes);
}

static void module_stats(struct rpc *rpc, const char *name, const struct module *m, bool pkg, bool shm, bool counts)
{
	rpc_add_printf(rpc, NULL, NULL, "Module: %s", name);
	if (pkg)
		pool_object(rpc, m, true, counts);
	if (shm)
		pool_object(rpc, NULL, false, counts);
	rpc_add_str(rpc, NULL, NULL, STR_LIT(""));
}

static void stats(struct rpc *rpc, bool counts)
{
	struct str name, type = STR_NULL;
	bool all, pkg, shm;
	unsigned n = 0;
	char text[64];

	if (rpc_arg_str(rpc, &name) < 0) {
		rpc_fault(rpc, 500, "Module name or \"all\" needed");
		return;
	}
	all = rpc_arg_str(rpc, &type) == 0 && str_ieq(type, STR_LIT("all"));
	pkg = all || (type.n && str_ieq(type, STR_LIT("pkg")));
	shm = all || (type.n && str_ieq(type, STR_LIT("shm")));
	if (!pkg && !shm) {
		rpc_fault(rpc, 500, "\"pkg\" or \"shm\" or \"all\" needed");
		return;
	}
	all = str_ieq(name, STR_LIT("all"));
	for (unsigned i = 0; i < module_count(); i++) {
		const struct module *m = module_at(i);

		if (!all && !str_eq(str_lit(m->name), name))
			continue;
		module_stats(rpc, m->name, m, pkg, shm, counts);
		n++;
	}
	if (n == 0) {
		(void)snprintf(text, sizeof(text), "%.*s", name.n > 60 ? 60 : (int)name.n, name.s);
		module_stats(rpc, text, NULL, pkg, shm, counts);
	}
}

void kex_mod_stats(struct rpc *rpc)
{
	stats(rpc, false);
}

void kex_mod_statsx(struct rpc *rpc)
{
	stats(rpc, true);
}
