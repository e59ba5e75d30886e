/* SPDX-License-Identifier: BSD-2-Clause */
/* SQLite behind db.h. Module db_sqlite registers it and hands over its parameters. */
#ifndef RF_DB_DRV_SQLITE_H
#define RF_DB_DRV_SQLITE_H

#include "core/db/db.h"

extern const struct db_driver db_driver_sqlite;

/* Start-up, by file path (absolute). Return 0, -ENOSPC over 16 files, or -EINVAL with the reason. */
MUST_CHECK int drv_sqlite_set_readonly(struct str path);
MUST_CHECK int drv_sqlite_set_journal_mode(struct str path, struct str mode, struct diag *reterr);
MUST_CHECK int drv_sqlite_set_busy_timeout(struct str path, unsigned ms);

#endif
