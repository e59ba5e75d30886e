/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow tokens (RFC 5626, 5.2): a flow, and a MAC over it, as the user part of our Record-Route and Path. Whoever brings such a Route back gets his request sent
 * by the flow in the token, so nobody else may be able to write one: 80 bits of HMAC-SHA256 under `flow_token_secret`, or under a key made at
 * start. Hex, since it passes through the URI parsers of others. Nothing is stored.
 *
 *   mac(10) protocol(1) socket address(4|16) port(2) peer address(4|16) port(2) connection(4)
 */
#include "modules/outbound/outbound_api.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"

#define MAC_BYTES 10u
#define V6_BIT 0x80u
#define FLOW_MAX (1u + 2u * (16u + 2u) + 4u)
#define KEY_CHARS 20u /* what flow_token_key has to have, as in Kamailio */

static struct conf {
	struct str flow_token_key, flow_token_secret;
	int force_flag, force_no_flag;
	unsigned char key[32];
} conf;

static bool flag_set(const struct ctx *ctx, int flag)
{
	return flag >= 0 && ctx->flags >> flag & 1;
}

static bool wanted(struct ctx *ctx)
{
	struct sip_addr_iter it = { 0 };
	struct sip_param p, q;
	struct sip_addr contact;
	struct sip_uri uri;

	if (ctx->msg.kind != SIP_REQUEST || flag_set(ctx, conf.force_no_flag))
		return false;
	if (flag_set(ctx, conf.force_flag))
		return true;
	if (sip_msg_via2(&ctx->msg) || sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &contact) != 1 || contact.star)
		return false;
	if (ctx->msg.method == SIP_M_REGISTER)
		return sip_param_find(contact.params, STR_LIT("reg-id"), &p) && sip_param_find(contact.params, STR_LIT("+sip.instance"), &q);
	return sip_uri_parse(contact.uri, &uri, NULL) == 0 && sip_param_find(uri.params, STR_LIT("ob"), &p);
}

/* ---- tokens ---- */

static size_t addr_put(unsigned char *to, bool v6, const struct net_addr *a)
{
	size_t n = v6 ? 16 : 4;

	memcpy(to, a->ip, n);
	to[n] = (unsigned char)(a->port >> 8);
	to[n + 1] = (unsigned char)a->port;
	return n + 2;
}

static size_t addr_get(const unsigned char *from, bool v6, struct net_addr *a)
{
	size_t n = v6 ? 16 : 4;

	*a = (struct net_addr){ .family = v6 ? AF_INET6 : AF_INET, .port = (uint16_t)(from[n] << 8 | from[n + 1]) };
	memcpy(a->ip, from, n);
	return n + 2;
}

static int mac(const unsigned char *flow, size_t n, unsigned char out[MAC_BYTES])
{
	unsigned char full[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), conf.key, sizeof(conf.key), flow, n, full, &len) || len < MAC_BYTES)
		return -ENOMEM;
	memcpy(out, full, MAC_BYTES);
	return 0;
}

static int token_make(struct ctx *ctx, struct str *ret_token)
{
	unsigned char raw[MAC_BYTES + FLOW_MAX], *p = raw + MAC_BYTES;
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	bool v6 = ctx->rx.src.family == AF_INET6;
	struct strbuf sb;
	size_t n;

	if (!l)
		return -EINVAL;
	*p++ = (unsigned char)((unsigned)ctx->rx.proto | (v6 ? V6_BIT : 0));
	p += addr_put(p, v6, &l->addr);
	p += addr_put(p, v6, &ctx->rx.src);
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (unsigned char)(ctx->rx.conn_id >> shift);
	n = (size_t)(p - raw);
	if (mac(raw + MAC_BYTES, n - MAC_BYTES, raw) < 0)
		return -ENOMEM;
	strbuf_init_pool(&sb, ctx->pool, 2 * sizeof(raw));
	strbuf_add_hex(&sb, raw, n);
	*ret_token = strbuf_str(&sb);
	return strbuf_err(&sb);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int token_read(struct str token, struct outbound_flow *ret_flow)
{
	unsigned char raw[MAC_BYTES + FLOW_MAX], want[MAC_BYTES];
	size_t n = token.n / 2;
	const unsigned char *p = raw + MAC_BYTES;
	struct outbound_flow flow = { .conn_id = 0 };
	bool v6;

	if (token.n != 2 * (MAC_BYTES + FLOW_MAX) && token.n != 2 * (MAC_BYTES + FLOW_MAX - 24))
		return -ENOENT;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(token.s[2 * i]), lo = hex_digit(token.s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -ENOENT;
		raw[i] = (unsigned char)(hi << 4 | lo);
	}
	v6 = *p & V6_BIT;
	if (mac(p, n - MAC_BYTES, want) < 0 || !str_eq_secret(str_of(raw, MAC_BYTES), str_of(want, MAC_BYTES)))
		return -EBADMSG;
	flow.proto = (enum sip_proto)(*p++ & ~V6_BIT);
	p += addr_get(p, v6, &flow.dst);
	p += addr_get(p, v6, &flow.src);
	for (int i = 0; i < 4; i++)
		flow.conn_id = flow.conn_id << 8 | *p++;
	*ret_flow = flow;
	return 0;
}

/* ---- module ---- */

static int init(void)
{
	struct str secret = conf.flow_token_secret.n ? conf.flow_token_secret : conf.flow_token_key;
	unsigned len = 0;

	if (conf.flow_token_key.n && conf.flow_token_key.n != KEY_CHARS) {
		log_error("outbound: flow_token_key has %zu characters, it needs %u", conf.flow_token_key.n, KEY_CHARS);
		return -EINVAL;
	}
	if (secret.n == 0)
		rng_bytes(conf.key, sizeof(conf.key));
	else if (EVP_Digest(secret.s, secret.n, conf.key, &len, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	return 0;
}

static const struct outbound_api api = { .wanted = wanted, .token_make = token_make, .token_read = token_read };

static const struct setting settings[] = {
	SETTING_INT("force_outbound_flag", struct conf, force_flag, -1, -1, 31),
	SETTING_INT("force_no_outbound_flag", struct conf, force_no_flag, -1, -1, 31),
	SETTING_STR("flow_token_key", struct conf, flow_token_key, NULL),
	SETTING_SECRET("flow_token_secret", struct conf, flow_token_secret, NULL),
	SETTING_END,
};

extern const struct module module_outbound;
const struct module module_outbound = { .abi = MODULE_ABI, .name = "outbound", .settings = settings, .conf = &conf, .api = &api, .init = init };
