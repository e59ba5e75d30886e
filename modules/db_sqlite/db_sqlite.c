/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes database URLs sqlite:///path work: registers the driver of core/db and hands it the module's parameters. */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/db/drv_sqlite.h"
#include "core/module/abi.h"

/* "path=value" */
static int split(struct str s, struct str *ret_path, struct str *ret_value, struct diag *reterr)
{
	ptrdiff_t at = str_rfind_char(s, '=');

	if (at <= 0)
		return diag_set(reterr, 0, "\"%.*s\": expected path=value", STR_FMT(s));
	*ret_path = str_sub(s, 0, (size_t)at);
	*ret_value = str_sub(s, (size_t)at + 1, s.n);
	return 0;
}

static int set_readonly(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf;
	(void)set;
	(void)i;
	return drv_sqlite_set_readonly(s) < 0 ? diag_set(reterr, 0, "too many files or path too long") : 0;
}

static int set_journal_mode(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str path, mode;

	(void)conf;
	(void)set;
	(void)i;
	if (split(s, &path, &mode, reterr) < 0)
		return -EBADMSG;
	return drv_sqlite_set_journal_mode(path, mode, reterr);
}

static int set_busy_timeout(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str path, value;
	uint32_t ms;

	(void)conf;
	(void)set;
	(void)i;
	if (split(s, &path, &value, reterr) < 0)
		return -EBADMSG;
	if (num_u32(value, &ms) < 0 || ms > 3600000)
		return diag_set(reterr, 0, "\"%.*s\": expected milliseconds, 0 to 3600000", STR_FMT(value));
	return drv_sqlite_set_busy_timeout(path, ms) < 0 ? diag_set(reterr, 0, "too many files or path too long") : 0;
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_FN_STR("db_set_readonly",     set_readonly),
	SETTING_FN_STR("db_set_journal_mode", set_journal_mode),
	SETTING_FN_STR("db_set_busy_timeout", set_busy_timeout),
	SETTING_END
};
/* clang-format on */

static int load(void)
{
	int err = db_driver_register(&db_driver_sqlite);

	return err < 0 ? log_fail(err, "db_sqlite: cannot register the driver") : 0;
}

const struct module module_db_sqlite = {
	.abi = MODULE_ABI,
	.name = "db_sqlite",
	.settings = settings,
	.load = load,
	.worker_stop = db_close_all,
};
