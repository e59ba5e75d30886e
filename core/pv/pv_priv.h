/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of core/pv share. */
#ifndef RF_PV_PV_PRIV_H
#define RF_PV_PV_PRIV_H

#include "core/pv/fmt.h"
#include "core/pv/trans.h"

/* Edit distance of two short names, bounded: at most 255. For "did you mean". */
unsigned pv_name_distance(struct str a, struct str b);

/* As pv_parse(), of a text that lives as long as the pool. */
MUST_CHECK int pv_parse_view(struct pool *pool, struct str text, struct pv_spec **ret_spec, size_t *ret_len, struct diag *reterr);

#endif
