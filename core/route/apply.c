/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message that the script changed, read again: msg_apply_changes() and the like. The received bytes stay where they are until the run
 * is over, so that views into them that somebody keeps remain good.
 */
#include <errno.h>

#include "core/route/route_priv.h"
#include "core/tm/out.h"

#define RR_TEMPLATES_MAX 8u

int route_msg_set(struct ctx *ctx, struct str bytes, struct diag *reterr)
{
	struct sip_msg msg;
	int err = sip_msg_parse(ctx->pool, bytes, &msg, reterr);

	if (err == 0)
		err = sip_msg_check(&msg, reterr);
	if (err < 0)
		return err;
	if (msg.kind != ctx->msg.kind)
		return diag_set(reterr, 0, "a request cannot become a reply, nor a reply a request");
	if (ctx->received.n == 0)
		ctx->received = ctx->msg.buf;
	ctx->msg = msg;
	ctx->edits = (struct sip_edits){ 0 };
	ctx->main.uri = STR_NULL;
	ctx->auth_hdr = NULL;
	return 0;
}

/* Record-Route is written when the way out is known (core/tm/out.h), so its templates move over to the new message. */
static unsigned take_rr_templates(struct ctx *ctx, struct str *texts)
{
	unsigned n = 0;

	for (const struct sip_edit *e = ctx->edits.head; e && n < RR_TEMPLATES_MAX; e = e->next) {
		if (e->tag == SIP_EDIT_RECORD_ROUTE && e->put.n > 0 && e->put.s[0] == OUT_RR_MARK)
			texts[n++] = e->put;
	}
	if (n > 0)
		sip_edit_undo(&ctx->edits, SIP_EDIT_RECORD_ROUTE);
	return n;
}

int route_msg_apply(struct ctx *ctx, struct diag *reterr)
{
	struct str bytes, templates[RR_TEMPLATES_MAX];
	unsigned n = take_rr_templates(ctx, templates);
	int err = sip_build_edited(ctx->pool, &ctx->msg, &ctx->edits, ctx->main.uri, &bytes);

	if (err < 0)
		diag_err(reterr, err, 0, "%s", err == -EMSGSIZE ? "longer than 65535 bytes" : "no memory");
	else
		err = route_msg_set(ctx, bytes, reterr);
	for (unsigned i = 0; i < n; i++) {
		int e = sip_edit_before(&ctx->edits, ctx->pool, &ctx->msg, SIP_H_RECORD_ROUTE, templates[i], SIP_EDIT_RECORD_ROUTE);

		if (err == 0 && e < 0)
			err = diag_err(reterr, e, 0, "no memory");
	}
	return err;
}
