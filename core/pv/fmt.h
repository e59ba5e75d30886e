/* SPDX-License-Identifier: BSD-2-Clause */
/* Text with variables in it: compiled once, evaluated per message. "$$" is a '$'; null prints "<null>". */
#ifndef RF_PV_FMT_H
#define RF_PV_FMT_H

#include "core/pv/pv.h"

struct fmt;

MUST_CHECK int fmt_compile(struct pool *pool, struct str text, struct fmt **ret_fmt, struct diag *reterr);
bool fmt_is_const(const struct fmt *f);
struct str fmt_text(const struct fmt *f); /* as written */
/* The only variable when the text is just one; NULL otherwise. */
const struct pv_spec *fmt_single_pv(const struct fmt *f);
/* Result lives in ctx->pool (constants: for ever). 0; -EMSGSIZE over pv_buffer_size. */
MUST_CHECK int fmt_eval(struct ctx *ctx, const struct fmt *f, struct str *ret);
void fmt_set_max(size_t bytes); /* pv_buffer_size */

#endif
