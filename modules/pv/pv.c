/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module pv: nearly every variable and transformation of the script language. The tables are in the files beside this one, by
 * subject; here they are put together. They are registered when the module is loaded, so that the script below the loadmodule line
 * can be compiled against them.
 */
#include "core/base/log.h"
#include "modules/pv/pv_priv.h"

static const struct setting settings[] = {
	SETTING_FN_STR("shvset", pv_shv_param),
	SETTING_FN_STR("varset", pv_var_param),
	SETTING_FN_STR("avp_aliases", pv_alias_param),
	SETTING_END,
};

static int pv_load(void)
{
	static const struct pv_def *const tables[] = {
		pv_addr_table, pv_hdr_table, pv_auth_table, pv_net_table, pv_branch_table, pv_mem_table, pv_shv_table,
		pv_time_table, pv_sel_table,
	};
	int err;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		err = pv_register(tables[i]);
		if (err < 0)
			return err;
	}
	err = trans_register(pv_trans_code);
	if (err == 0)
		err = trans_register(pv_trans_val);
	return err < 0 ? err : trans_register(pv_trans_sip);
}

static int pv_init(void)
{
	int err = pv_state_init();

	if (err < 0)
		return log_fail(err, "pv: no room for the state of a message");
	err = pv_shv_init();
	return err < 0 ? log_fail(err, "pv: shared variables cannot be made") : 0;
}

const struct module module_pv = {
	.abi = MODULE_ABI,
	.name = "pv",
	.settings = settings,
	.funcs = pv_funcs,
	.pvs = pv_msg_table,
	.trans = pv_trans_s,
	.rpcs = pv_rpcs,
	.load = pv_load,
	.init = pv_init,
};
