/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flags of a message: extended ones, internal ones, those that travel in the branch parameter of our Via, and the switches of what else own Via gets
 * (core/tm/out_via.c).
 */
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/tm/out.h"
#include "modules/corex/corex_priv.h"

static bool xflag_ok(const char *what, int64_t flag)
{
	if (flag >= 0 && flag < 64)
		return true;
	log_error("%s: flags are 0 to 63, not %lld", what, (long long)flag);
	return false;
}

int corex_setxflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!xflag_ok("setxflag", a[0].i))
		return -1;
	ctx->xflags |= (uint64_t)1 << a[0].i;
	return 1;
}

int corex_resetxflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!xflag_ok("resetxflag", a[0].i))
		return -1;
	ctx->xflags &= ~((uint64_t)1 << a[0].i);
	return 1;
}

int corex_isxflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return xflag_ok("isxflagset", a[0].i) && (ctx->xflags & ((uint64_t)1 << a[0].i)) ? 1 : -1;
}

/* ---- msg_iflag_* ---- */

/*
 * In Kamailio these tell tm where From, To and credentials of a request that the script changed are found. CANCEL and ACK are made here from the request as it
 * was sent, so nobody but the script reads them. Their numbers are ours.
 */
static int iflag_of(struct str s)
{
	static const char *const names[] = { "USE_UAC_FROM", "USE_UAC_TO", "UAC_AUTH", "MSG_APPLY_CHANGES" };
	uint32_t n;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (str_ieq(s, str_lit(names[i])))
			return (int)(64 - ARRAY_LEN(names) + i);
	if (num_u32(s, &n) == 0 && n < 64)
		return (int)n;
	log_error("msg_iflag: \"%.*s\" is none of USE_UAC_FROM, USE_UAC_TO, UAC_AUTH, MSG_APPLY_CHANGES, 0 to 63", STR_FMT(s));
	return -1;
}

int corex_iflag_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int flag = iflag_of(a[0].s);

	(void)n; /* one */
	if (flag < 0)
		return -1;
	ctx->iflags |= (uint64_t)1 << flag;
	return 1;
}

int corex_iflag_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int flag = iflag_of(a[0].s);

	(void)n; /* one */
	if (flag < 0)
		return -1;
	ctx->iflags &= ~((uint64_t)1 << flag);
	return 1;
}

int corex_iflag_is_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int flag = iflag_of(a[0].s);

	(void)n; /* one */
	if (flag < 0)
		return -1;
	return ctx->iflags & ((uint64_t)1 << flag) ? 1 : -2;
}

/* ---- msg_vbflag_* ---- */

static bool vbflag_ok(int64_t flag)
{
	if (flag >= 0 && flag < 32)
		return true;
	log_error("msg_vbflag: flags are 0 to 31, not %lld", (long long)flag);
	return false;
}

int corex_vbflag_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!vbflag_ok(a[0].i))
		return -1;
	ctx->vbflags |= 1u << a[0].i;
	return 1;
}

int corex_vbflag_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!vbflag_ok(a[0].i))
		return -1;
	ctx->vbflags &= ~(1u << a[0].i);
	return 1;
}

int corex_vbflag_is_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return vbflag_ok(a[0].i) && (ctx->vbflags & (1u << a[0].i)) ? 1 : -1;
}

/* Of a reply the top Via is ours; of a request it is that of the server before. */
int corex_vbflag_parse(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);

	(void)a, (void)n; /* takes none */
	ctx->vbflags = via ? out_via_flags(via->branch) : 0;
	return ctx->vbflags ? 1 : -1;
}

/* ---- via_* ---- */

static int via_switch(struct ctx *ctx, uint32_t flag, bool on)
{
	if (on)
		ctx->mflags |= flag;
	else
		ctx->mflags &= ~flag;
	return 1;
}

int corex_via_add_srvid(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return via_switch(ctx, CTX_F_VIA_SRVID, a[0].i != 0);
}

int corex_via_add_xavp_params(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return via_switch(ctx, CTX_F_VIA_PARAMS, a[0].i != 0);
}

int corex_via_use_xavp_fields(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return via_switch(ctx, CTX_F_VIA_FIELDS, a[0].i != 0);
}

int corex_via_reply_add_xavp_params(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return via_switch(ctx, CTX_F_VIA_REPLY_PARAMS, a[0].i != 0);
}
