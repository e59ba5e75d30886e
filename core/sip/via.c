/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Via: SIP / 2.0 / transport, sent-by, parameters (RFC 3261, 20.42). White space may stand around
 * the slashes and the colon. received may carry an IPv6 address with or without brackets (RFC
 * 5118, 4.5); the view leaves them out. The first of a repeated parameter counts.
 */
#include "core/sip/via.h"

#include <errno.h>

#include "core/sip/addr.h"
#include "core/sip/sip_priv.h"

#define MAGIC_COOKIE "z9hG4bK"

static struct str without_brackets(struct str s)
{
	if (s.n >= 2 && s.s[0] == '[' && s.s[s.n - 1] == ']')
		return sip_span(s.s + 1, sip_end(s) - 1);
	return s;
}

static void take_param(struct sip_via *v, const struct sip_param *p)
{
	switch (p->name.n) {
	case 3:
		if (!v->ttl.s && sip_is(p->name, STR_LIT("ttl")))
			v->ttl = p->value;
		break;
	case 5:
		if (!v->has_rport && sip_is(p->name, STR_LIT("rport"))) {
			v->has_rport = true;
			v->rport = p->value;
			v->rport_param = p->raw;
		} else if (!v->maddr.s && sip_is(p->name, STR_LIT("maddr"))) {
			v->maddr = without_brackets(p->value);
		} else if (!v->has_alias && sip_is(p->name, STR_LIT("alias"))) {
			v->has_alias = true;
			v->alias = p->value;
		}
		break;
	case 6:
		if (!v->branch.s && sip_is(p->name, STR_LIT("branch")))
			v->branch = p->value;
		break;
	case 8:
		if (!v->received_param.s && sip_is(p->name, STR_LIT("received"))) {
			v->received = without_brackets(p->value);
			v->received_param = p->raw;
		}
		break;
	default:
		break;
	}
}

/* "SIP" SLASH version SLASH transport LWS; returns behind it, or NULL. */
static const char *take_protocol(struct sip_via *v, const char *p, const char *end)
{
	static const char usual[] = "SIP/2.0/UDP ";
	const char *start = p, *q;

	if (LIKELY(end - p > 12 && memcmp(p, usual, 12) == 0)) {
		v->version = sip_span(p, p + 7);
		v->transport = sip_span(p + 8, p + 11);
		v->proto = SIP_PROTO_UDP;
		return sip_skip_ws(p + 12, end);
	}
	for (int i = 0; i < 2; i++) {
		q = sip_skip_class(p, end, CHARS_TOKEN);
		if (q == p || (i == 0 && !sip_is(sip_span(p, q), STR_LIT("SIP"))))
			return NULL;
		v->version = sip_span(start, q);
		p = sip_skip_ws(q, end);
		if (p == end || *p != '/')
			return NULL;
		p = sip_skip_ws(p + 1, end);
	}
	q = sip_skip_class(p, end, CHARS_TOKEN);
	v->transport = sip_span(p, q);
	p = sip_skip_ws(q, end);
	if (v->transport.n == 0 || p == q)
		return NULL;
	v->proto = sip_proto_lookup(v->transport);
	return p;
}

int sip_via_parse(struct str in, struct sip_via *ret_via, struct diag *reterr)
{
	struct str s = sip_trim(in), rest;
	const char *end = sip_end(s), *p;
	struct sip_via v = { .text = s };
	struct sip_hostport hp;
	struct sip_param param;
	int err;

	/* The list is split with <> respected, as for addresses; here they have no place (and
	 * replacing a parameter could tear a pair of them apart). */
	if (s.n > 0 && memchr(s.s, '<', s.n))
		return diag_set(reterr, (size_t)(s.s - in.s), "'<' in Via");
	p = s.n > 0 ? take_protocol(&v, s.s, end) : NULL;
	if (!p)
		return diag_set(reterr, (size_t)(s.s - in.s), "SIP/2.0/transport expected");
	err = sip_hostport_parse(&p, end, &hp, reterr, in.s);
	if (err < 0)
		return err;
	v.host = hp.host;
	v.host_v6 = hp.host_v6;
	v.port = hp.port;
	p = sip_skip_ws(p, end);
	if (p < end) {
		if (*p != ';')
			return diag_set(reterr, (size_t)(p - in.s), "';' expected");
		v.params = rest = sip_span(p + 1, end);
		while ((err = sip_param_next(&rest, &param)) > 0)
			take_param(&v, &param);
		if (err < 0)
			return diag_set(reterr, (size_t)(rest.s - in.s), "bad Via parameter");
	}
	v.magic =
	    v.branch.n > sizeof(MAGIC_COOKIE) - 1 && str_starts(v.branch, STR_LIT(MAGIC_COOKIE));
	*ret_via = v;
	return 0;
}

int sip_via_next(struct str *rest, struct sip_via *ret_via, struct diag *reterr)
{
	struct str item, tail = *rest;
	int err = sip_list_next(&tail, &item);

	if (err < 0)
		return diag_set(reterr, 0, "quote not closed");
	if (err == 0)
		return 0;
	err = sip_via_parse(item, ret_via, reterr);
	if (err < 0)
		return err;
	*rest = tail;
	return 1;
}
