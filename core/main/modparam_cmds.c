/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands modparam.*: what the modules were told, as the process that answers has it now; secrets and passwords of URLs as "***". */
#include <errno.h>

#include "core/base/secret.h"
#include "core/main/core_cmds.h"
#include "core/module/loader.h"
#include "core/rpc/rpc.h"

enum { TYPE_INT = 2, TYPE_STR = 4 }; /* numbers that clients know */

static const struct module *module_find(struct str name)
{
	for (unsigned i = 0; i < module_count(); i++)
		if (str_eq(str_lit(module_at(i)->name), name))
			return module_at(i);
	return NULL;
}

static bool is_func(const struct setting *s)
{
	return s->type == SETTING_FN_INT_T || s->type == SETTING_FN_STR_T;
}

static bool is_int(const struct setting *s)
{
	return s->type == SETTING_INT_T || s->type == SETTING_FN_INT_T;
}

static int int_value(const struct module *m, const struct setting *s)
{
	return *(const int *)(const void *)((const char *)m->conf + s->offset);
}

static void add_text(struct rpc *rpc, struct rpc_node *n, const struct module *m, const struct setting *s)
{
	struct str value = *(const struct str *)(const void *)((const char *)m->conf + s->offset);
	struct strbuf sb;

	strbuf_init(&sb, 2 * value.n + 16);
	settings_show(s, value, &sb);
	rpc_add_str(rpc, n, "value", strbuf_err(&sb) < 0 ? STR_LIT(SECRET_SHOWN) : strbuf_str(&sb));
	strbuf_done(&sb);
}

/* The run-time setting that the parameter follows; NULL: none. */
static const struct cfg_live *live_of(const struct module *m, const struct setting *s)
{
	for (const struct cfg_live *l = m->live; l && l->name; l++)
		if (strcmp(l->param ? l->param : l->name, s->name) == 0)
			return l;
	return NULL;
}

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

/* Module and parameter. False: a fault is set. */
static bool take(struct rpc *rpc, const char *expected, const struct module **ret_m, const struct setting **ret_s)
{
	struct str module, param;

	if (rpc_arg_str(rpc, &module) < 0 || rpc_arg_str(rpc, &param) < 0) {
		rpc_fault(rpc, 400, "%s", expected);
		return false;
	}
	*ret_m = module_find(module);
	*ret_s = *ret_m && (*ret_m)->settings ? settings_find((*ret_m)->settings, param) : NULL;
	if (!*ret_m)
		rpc_fault(rpc, 404, "Module Not Found");
	else if (!*ret_s)
		rpc_fault(rpc, 404, "Parameter Not Found");
	else if (is_func(*ret_s))
		rpc_fault(rpc, 488, "Not Acceptable Here - Use Func Param");
	else
		return true;
	return false;
}

static struct rpc_node *begin(struct rpc *rpc, const struct module *m, const struct setting *s, bool shm)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_str(rpc, n, "module", str_lit(m->name));
	rpc_add_str(rpc, n, "param", str_lit(s->name));
	rpc_add_str(rpc, n, "shm", str_lit(yes_no(shm)));
	return n;
}

static void getn(struct rpc *rpc)
{
	const struct setting *s;
	const struct module *m;

	if (!take(rpc, "Module And Parameter Names Expected", &m, &s))
		return;
	if (is_int(s))
		rpc_add_int(rpc, begin(rpc, m, s, live_of(m, s)), "value", int_value(m, s));
	else
		rpc_fault(rpc, 404, "Parameter Not Found");
}

static void gets_cmd(struct rpc *rpc)
{
	const struct setting *s;
	const struct module *m;

	if (!take(rpc, "Module And Parameter Names Expected", &m, &s))
		return;
	if (!is_int(s))
		add_text(rpc, begin(rpc, m, s, false), m, s);
	else
		rpc_fault(rpc, 404, "Parameter Not Found");
}

static void setn(struct rpc *rpc)
{
	const struct setting *s;
	const struct module *m;
	const struct cfg_live *live;
	struct rpc_node *n;
	struct value v;
	int64_t i;
	int old;

	if (!take(rpc, "Module, Parameter And Value Expected", &m, &s))
		return;
	if (rpc_arg_int(rpc, &i) < 0) {
		rpc_fault(rpc, 400, "Module, Parameter And Value Expected");
		return;
	}
	live = is_int(s) ? live_of(m, s) : NULL;
	v = value_int(i);
	if (!live || cfg_set(str_lit(m->name), 0, str_lit(live->name), &v) < 0) {
		rpc_fault(rpc, 488, live ? "Not Acceptable Here - Value Out Of Range" : "Not Acceptable Here - Not A Shm Param");
		return;
	}
	old = int_value(m, s);
	n = begin(rpc, m, s, true);
	rpc_add_int(rpc, n, "ovalue", old);
	rpc_add_int(rpc, n, "value", i);
}

static void list_one(struct rpc *rpc, const struct module *m, const struct setting *s)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_str(rpc, n, "module", str_lit(m->name));
	rpc_add_str(rpc, n, "param", str_lit(s->name));
	rpc_add_int(rpc, n, "typeval", is_int(s) ? TYPE_INT : TYPE_STR);
	rpc_add_str(rpc, n, "type", is_int(s) ? STR_LIT("int") : STR_LIT("str"));
	rpc_add_str(rpc, n, "use_func", str_lit(yes_no(is_func(s))));
	rpc_add_str(rpc, n, "use_shm", str_lit(yes_no(is_int(s) && live_of(m, s))));
	if (is_func(s))
		rpc_add_null(rpc, n, "value");
	else if (is_int(s))
		rpc_add_int(rpc, n, "value", int_value(m, s));
	else
		add_text(rpc, n, m, s);
}

static void list(struct rpc *rpc)
{
	struct str name = STR_NULL;

	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &name) < 0)
		return;
	if (name.n && !module_find(name)) {
		rpc_fault(rpc, 404, "Module Not Found");
		return;
	}
	for (unsigned i = 0; i < module_count(); i++) {
		const struct module *m = module_at(i);

		if (name.n && !str_eq(str_lit(m->name), name))
			continue;
		for (const struct setting *s = m->settings; s && s->type != SETTING_END_T; s++)
			list_one(rpc, m, s);
	}
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "modparam.getn", getn,     0, "Value of a parameter that is a number: module, parameter" },
	{ "modparam.gets", gets_cmd, 0, "Value of a parameter that is a text: module, parameter" },
	{ "modparam.list", list,     RPC_RET_ARRAY, "All parameters, of one module or of all" },
	{ "modparam.setn", setn,     0, "Changes a number that can be changed at run time: module, parameter, value" },
	{ .name = NULL },
};
/* clang-format on */

int modparam_rpc_register(void)
{
	return rpc_register(methods);
}
