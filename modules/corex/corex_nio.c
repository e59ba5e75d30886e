/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event routes about what is on the wire: network:msg, which may decode what comes and encode what leaves, and corex:reply-out. The core runs them
 * (core/route/wire.c, onsend.c); here is what the script says about them.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/pv/pv.h"
#include "core/route/route.h"
#include "modules/corex/corex_priv.h"

struct corex_nio corex_nio;

static struct {
	struct route_wire wire;
	struct pool *pool; /* of avp */
	struct pv_spec *avp;
} self;

/* What the route left in nio_msg_avp. It is taken away: the routes that follow have no use for a copy of the message. */
static struct str result(struct ctx *ctx)
{
	const struct value none = value_null();
	struct value v;

	if (!self.avp || pv_get(ctx, self.avp, &v) < 0 || v.kind != VALUE_STR)
		return STR_NULL;
	if (pv_set(ctx, self.avp, &none) < 0)
		log_warn("nio_msg_avp: not removed");
	return v.s;
}

int corex_nio_init(void)
{
	struct diag why = { 0 };
	size_t len;
	int err;

	route_reply_out = STR_LIT("corex:reply-out");
	if (!corex_nio.intercept)
		return 0;
	self.wire = (struct route_wire){ .route = STR_LIT("network:msg"), .bytes_min = (size_t)corex_nio.bytes_min, .result = result };
	route_wire(&self.wire);
	if (corex_nio.avp.n == 0)
		return 0;
	self.pool = pool_new(4096);
	if (!self.pool)
		return log_fail(-ENOMEM, "corex: nio_msg_avp");
	err = pv_parse(self.pool, corex_nio.avp, &self.avp, &len, &why);
	if (err == 0 && (len != corex_nio.avp.n || !str_eq(str_lit(self.avp->def->name), STR_LIT("avp"))))
		err = diag_set(&why, 0, "$avp(name) expected");
	return err < 0 ? log_fail(err, "corex: nio_msg_avp \"%.*s\": %s", STR_FMT(corex_nio.avp), why.text) : 0;
}

void corex_nio_done(void)
{
	route_wire(NULL);
	route_reply_out = STR_NULL;
	pool_free(self.pool);
	self.pool = NULL;
	self.avp = NULL;
}
