/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#ifndef RF_DB_DB_PRIV_H
#define RF_DB_DB_PRIV_H

#include "core/db/db.h"

bool db_rows_is_taken(const struct db_rows *rows);

#endif
