/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strict: what the specification does not allow is refused, since who can make a receiver misread this header chooses the address that
 * bans, limits and logs then see. Of the extensions of version 2 (TLV) the form is checked, and their contents are passed over.
 */
#include "core/net/proxy.h"

#include <errno.h>

#include "core/base/num.h"

#define V1_MAX 107u /* with CRLF: section 2.1 of the specification */
#define V2_HEAD 16u

static const char v1_start[] = "PROXY ";
static const char v2_start[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* ---- version 1: a line of text ---- */

/* Up to the next single space, or to the end of the line. */
static struct str word(struct str *line)
{
	ptrdiff_t space = str_find_char(*line, ' ');
	struct str w = space < 0 ? *line : str_sub(*line, 0, (size_t)space);

	*line = space < 0 ? STR_NULL : str_sub(*line, (size_t)space + 1, line->n);
	return w;
}

/* No leading zeros: someone might read them as octal. */
static int port(struct str s, uint16_t *ret)
{
	uint32_t n;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.s[0] == '0') || num_u32(s, &n) < 0 || n > UINT16_MAX)
		return -EBADMSG;
	*ret = (uint16_t)n;
	return 0;
}

static int v1_line(struct str line, struct net_proxy *ret, struct diag *reterr)
{
	struct str proto = word(&line), src, dst, sport, dport;
	int family = str_eq(proto, STR_LIT("TCP4")) ? AF_INET : str_eq(proto, STR_LIT("TCP6")) ? AF_INET6 : 0;

	if (str_eq(proto, STR_LIT("UNKNOWN")))
		return 0;
	if (!family)
		return diag_set(reterr, 6, "TCP4, TCP6 or UNKNOWN expected");
	src = word(&line);
	dst = word(&line);
	sport = word(&line);
	dport = line;
	if (net_addr_parse(src, 0, &ret->src) < 0 || net_addr_parse(dst, 0, &ret->dst) < 0 || ret->src.family != family ||
	    ret->dst.family != family || src.s[0] == '[' || dst.s[0] == '[')
		return diag_set(reterr, 11, "two addresses of the protocol's family expected");
	if (port(sport, &ret->src.port) < 0 || port(dport, &ret->dst.port) < 0)
		return diag_set(reterr, (size_t)(dst.s - src.s) + 11, "two ports from 0 to 65535 expected");
	ret->known = true;
	return 0;
}

static int v1(struct str bytes, struct net_proxy *ret, size_t *ret_need, struct diag *reterr)
{
	struct str look = str_sub(bytes, 0, V1_MAX);
	ptrdiff_t lf = str_find_char(look, '\n');
	size_t same = look.n < sizeof(v1_start) - 1 ? look.n : sizeof(v1_start) - 1;

	if (memcmp(look.s, v1_start, same) != 0)
		return diag_set(reterr, 0, "no PROXY header");
	if (lf < 0 && look.n == V1_MAX)
		return diag_set(reterr, V1_MAX, "line longer than %u bytes", V1_MAX);
	if (lf < 0) {
		*ret_need = look.n + 1;
		return -ENODATA;
	}
	if ((size_t)lf < sizeof(v1_start) || look.s[lf - 1] != '\r')
		return diag_set(reterr, (size_t)lf, "CRLF expected");
	ret->bytes = (size_t)lf + 1;
	return v1_line(str_sub(look, sizeof(v1_start) - 1, (size_t)lf - sizeof(v1_start)), ret, reterr);
}

/* ---- version 2: binary ---- */

static unsigned be16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static size_t addresses(struct str body, int family, struct net_proxy *ret)
{
	size_t ip = family == AF_INET ? 4 : 16;

	if (body.n < 2 * ip + 4)
		return 0;
	ret->src.family = ret->dst.family = (uint8_t)family;
	memcpy(ret->src.ip, body.s, ip);
	memcpy(ret->dst.ip, body.s + ip, ip);
	ret->src.port = (uint16_t)be16(body.s + 2 * ip);
	ret->dst.port = (uint16_t)be16(body.s + 2 * ip + 2);
	ret->known = true;
	return 2 * ip + 4;
}

static bool extensions_sound(struct str rest)
{
	while (rest.n >= 3) {
		size_t n = 3 + be16(rest.s + 1);

		if (n > rest.n)
			return false;
		rest = str_sub(rest, n, rest.n);
	}
	return rest.n == 0;
}

static int v2(enum net_proxy_kind kind, struct str bytes, struct net_proxy *ret, size_t *ret_need, struct diag *reterr)
{
	size_t same = bytes.n < sizeof(v2_start) ? bytes.n : sizeof(v2_start), used;
	unsigned version, command, family, proto;
	struct str body;

	if (memcmp(bytes.s, v2_start, same) != 0)
		return diag_set(reterr, 0, "no PROXY header");
	if (bytes.n < V2_HEAD) {
		*ret_need = V2_HEAD;
		return -ENODATA;
	}
	version = (unsigned char)bytes.s[12] >> 4;
	command = (unsigned char)bytes.s[12] & 15;
	family = (unsigned char)bytes.s[13] >> 4;
	proto = (unsigned char)bytes.s[13] & 15;
	if (version != 2 || command > 1)
		return diag_set(reterr, 12, "version 2 and command 0 or 1 expected");
	ret->bytes = V2_HEAD + be16(bytes.s + 14);
	if (ret->bytes > NET_PROXY_MAX_BYTES)
		return diag_set(reterr, 14, "header of %zu bytes: more than %u", ret->bytes, NET_PROXY_MAX_BYTES);
	if (bytes.n < ret->bytes) {
		*ret_need = ret->bytes;
		return -ENODATA;
	}
	if (command == 0 || family == 0 || proto == 0)
		return 0; /* a check of the balancer's own: what follows has no meaning */
	if (family > 2 || proto != (kind == NET_PROXY_STREAM ? 1u : 2u))
		return diag_set(reterr, 13, "addresses of %s over IPv4 or IPv6 expected", kind == NET_PROXY_STREAM ? "TCP" : "UDP");
	body = str_sub(bytes, V2_HEAD, ret->bytes - V2_HEAD);
	used = addresses(body, family == 1 ? AF_INET : AF_INET6, ret);
	if (used == 0)
		return diag_set(reterr, V2_HEAD, "too short for its addresses");
	if (!extensions_sound(str_sub(body, used, body.n)))
		return diag_set(reterr, V2_HEAD + used, "an extension is longer than the header");
	return 0;
}

int net_proxy_parse(enum net_proxy_kind kind, struct str bytes, struct net_proxy *ret, size_t *ret_need, struct diag *reterr)
{
	struct net_proxy got = { 0 };
	int err;

	if (bytes.n == 0) {
		*ret_need = 1;
		err = -ENODATA;
	} else if (kind == NET_PROXY_STREAM && bytes.s[0] == v1_start[0]) {
		err = v1(bytes, &got, ret_need, reterr);
	} else {
		err = v2(kind, bytes, &got, ret_need, reterr);
	}
	if (err == -ENODATA && kind == NET_PROXY_DATAGRAM)
		return diag_set(reterr, bytes.n, "the header is cut off");
	if (err == 0) {
		/* A balancer that listens to both families on one socket says so; here an address has one form, else bans and rules miss it. */
		net_addr_unmap(&got.src);
		net_addr_unmap(&got.dst);
		*ret = got;
	}
	return err;
}

/* ---- datagrams ---- */

static const char simple_start[2] = { '\x56', '\xec' };

static int simple(struct str bytes, struct net_proxy *ret, struct diag *reterr)
{
	if (bytes.n < NET_PROXY_SIMPLE_BYTES)
		return diag_set(reterr, bytes.n, "the header is cut off");
	ret->bytes = NET_PROXY_SIMPLE_BYTES;
	(void)addresses(str_sub(bytes, sizeof(simple_start), NET_PROXY_SIMPLE_BYTES), AF_INET6, ret); /* the same layout, and long enough */
	net_addr_unmap(&ret->src);
	net_addr_unmap(&ret->dst);
	return 0;
}

int net_proxy_datagram(unsigned kinds, struct str bytes, struct net_proxy *ret, struct diag *reterr)
{
	struct net_proxy got = { 0 };
	size_t need;
	int kind = 0, err = 0;

	if ((kinds & NET_PROXY_V2) && bytes.n >= sizeof(v2_start) && memcmp(bytes.s, v2_start, sizeof(v2_start)) == 0) {
		kind = NET_PROXY_V2;
		err = net_proxy_parse(NET_PROXY_DATAGRAM, bytes, &got, &need, reterr);
	} else if ((kinds & NET_PROXY_SIMPLE) && bytes.n >= sizeof(simple_start) && memcmp(bytes.s, simple_start, sizeof(simple_start)) == 0) {
		kind = NET_PROXY_SIMPLE;
		err = simple(bytes, &got, reterr);
	}
	if (err < 0)
		return err;
	if (got.known && (got.src.port == 0 || net_addr_is_any(&got.src)))
		return diag_set(reterr, 0, "a client without address or port");
	*ret = got;
	return kind;
}

static void put_address(const struct net_addr *a, char *ip, char *port)
{
	net_addr_mapped(a, ip);
	port[0] = (char)(a->port >> 8);
	port[1] = (char)(a->port & 255);
}

void net_proxy_simple_build(const struct net_addr *client, const struct net_addr *dst, char out[NET_PROXY_SIMPLE_BYTES])
{
	memcpy(out, simple_start, sizeof(simple_start));
	put_address(client, out + 2, out + 34);
	put_address(dst, out + 18, out + 36);
}
