/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URIs. sip and sips are taken apart in one walk from left to right; tel keeps its number in
 * `user`; all other schemes stay whole, so that a proxy can answer 416 instead of 400. The user
 * part is read generously (real phones put '#' and UTF-8 there), the host strictly, because it
 * decides where a message goes. Nothing is unescaped here: %40 stays %40 until somebody compares or
 * decodes.
 */
#include "core/sip/uri.h"

#include <arpa/inet.h>
#include <errno.h>

#include "core/base/num.h"
#include "core/sip/sip_priv.h"

static const struct {
	struct str name, via_name;
} protos[] = {
	[SIP_PROTO_UDP] = { STR_LIT("udp"), STR_LIT("UDP") },
	[SIP_PROTO_TCP] = { STR_LIT("tcp"), STR_LIT("TCP") },
	[SIP_PROTO_TLS] = { STR_LIT("tls"), STR_LIT("TLS") },
	[SIP_PROTO_SCTP] = { STR_LIT("sctp"), STR_LIT("SCTP") },
	[SIP_PROTO_WS] = { STR_LIT("ws"), STR_LIT("WS") },
	[SIP_PROTO_WSS] = { STR_LIT("wss"), STR_LIT("WSS") },
};

enum sip_proto sip_proto_lookup(struct str name)
{
	for (size_t i = SIP_PROTO_UDP; i < ARRAY_LEN(protos); i++)
		if (name.n == protos[i].name.n && str_ieq(name, protos[i].name))
			return (enum sip_proto)i;
	return SIP_PROTO_NONE;
}

const char *sip_proto_name(enum sip_proto proto)
{
	return proto > 0 && (size_t)proto < ARRAY_LEN(protos) ? protos[proto].name.s : "";
}

const char *sip_proto_via_name(enum sip_proto proto)
{
	return proto > 0 && (size_t)proto < ARRAY_LEN(protos) ? protos[proto].via_name.s : "";
}

bool sip_is_ipv6(struct str s)
{
	char z[INET6_ADDRSTRLEN + 1];
	struct in6_addr addr;

	if (s.n < 2 || s.n >= sizeof(z) || memchr(s.s, '\0', s.n))
		return false;
	memcpy(z, s.s, s.n);
	z[s.n] = '\0';
	return inet_pton(AF_INET6, z, &addr) == 1;
}

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') <= 9;
}

bool sip_is_ipv4(struct str host)
{
	const char *p = host.s, *end = sip_end(host);

	for (unsigned n_dots = 0;; n_dots++, p++) {
		const char *first = p;
		unsigned value = 0;

		for (; p < end && p - first < 3 && is_digit(*p); p++)
			value = value * 10 + (unsigned)(*p - '0');
		if (p == first || value > 255)
			return false;
		if (n_dots == 3)
			return p == end;
		if (p == end || *p != '.')
			return false;
	}
}

/* At least one digit at *pos, which is moved behind them. */
static int take_port(const char **pos, const char *end, uint16_t *ret_port)
{
	const char *p = *pos;
	unsigned port = 0;

	for (; p < end && is_digit(*p); p++) {
		port = port * 10 + (unsigned)(*p - '0');
		if (port > UINT16_MAX)
			return -EBADMSG;
	}
	if (p == *pos)
		return -EBADMSG;
	*pos = p;
	*ret_port = (uint16_t)port;
	return 0;
}

/* uri_host_extra_chars: a bit per character */
static struct {
	bool any;
	uint64_t bits[4];
} extra;

bool sip_host_extra_allowed(struct str chars)
{
	for (size_t i = 0; i < chars.n; i++)
		if ((unsigned char)chars.s[i] <= ' ' || memchr(":;?@,<>[]\"\x7f", chars.s[i], 11))
			return false;
	return true;
}

void sip_host_extra_chars(struct str chars)
{
	memset(&extra, 0, sizeof(extra));
	for (size_t i = 0; i < chars.n; i++)
		extra.bits[(unsigned char)chars.s[i] / 64] |= 1ull << (unsigned char)chars.s[i] % 64;
	extra.any = chars.n > 0;
}

static const char *skip_host(const char *p, const char *end)
{
	p = sip_skip_class(p, end, CHARS_HOST);
	while (UNLIKELY(extra.any) && p < end && (extra.bits[(unsigned char)*p / 64] >> (unsigned char)*p % 64 & 1))
		p = sip_skip_class(p + 1, end, CHARS_HOST);
	return p;
}

int sip_hostport_parse(const char **pos, const char *end, struct sip_hostport *ret,
                       struct diag *reterr, const char *base)
{
	const char *p = *pos, *q;
	struct sip_hostport out = { 0 };

	if (p < end && *p == '[') {
		q = memchr(p, ']', (size_t)(end - p));
		if (!q)
			return diag_set(reterr, (size_t)(p - base), "']' expected");
		out.host = sip_span(p + 1, q);
		if (!sip_is_ipv6(out.host))
			return diag_set(reterr, (size_t)(p - base), "bad IPv6 address");
		out.host_v6 = true;
		p = q + 1;
	} else {
		q = skip_host(p, end);
		out.host = sip_span(p, q);
		if (out.host.n == 0)
			return diag_set(reterr, (size_t)(p - base), "host expected");
		p = q;
	}
	q = sip_skip_ws(p, end);
	if (q < end && *q == ':') {
		p = q = sip_skip_ws(q + 1, end);
		if (take_port(&q, end, &out.port) < 0)
			return diag_set(reterr, (size_t)(p - base), "bad port");
		out.port_text = sip_span(p, q);
		p = q;
	}
	*pos = p;
	*ret = out;
	return 0;
}

static bool phone2tel = true;

void sip_uri_phone2tel(bool on)
{
	phone2tel = on;
}

static void split_number(struct sip_uri *u)
{
	ptrdiff_t semi = phone2tel && u->user_params.n == 0 ? str_find_char(u->user, ';') : -1;

	if (semi <= 0)
		return;
	u->user_params = str_sub(u->user, (size_t)semi + 1, u->user.n);
	u->user = str_sub(u->user, 0, (size_t)semi);
}

static int parse_params(struct sip_uri *u, struct diag *reterr)
{
	struct str rest = u->params;
	struct sip_param param;
	int more;

	while ((more = sip_param_next(&rest, &param)) > 0) {
		if (param.name.n == 2 && !u->has_lr) {
			u->has_lr = sip_is(param.name, STR_LIT("lr"));
		} else if (param.name.n == 9 && !u->has_transport &&
		           sip_is(param.name, STR_LIT("transport"))) {
			u->has_transport = true;
			u->transport = param.value;
			u->proto = sip_proto_lookup(param.value);
		} else if (param.name.n == 4 && param.value.n == 5 && u->password.n == 0 &&
		           sip_is(param.name, STR_LIT("user")) && sip_is(param.value, STR_LIT("phone"))) {
			split_number(u);
		}
	}
	if (more < 0)
		return diag_set(reterr, (size_t)(rest.s - u->text.s), "bad URI parameter");
	return 0;
}

/* Behind "sip:": [user[:password]@]host[:port][;params][?headers]. An unescaped '@' can only be the
 * end of the user part, which may hold ';' and '?' (RFC 3261, 25.1 user-unreserved). */
static int parse_sip(struct sip_uri *u, const char *p, const char *end, struct diag *reterr)
{
	const char *at = memchr(p, '@', (size_t)(end - p)), *q;
	struct sip_hostport hp;
	int err;

	if (at) {
		if (at == p)
			return diag_set(reterr, (size_t)(p - u->text.s), "user expected");
		q = memchr(p, ':', (size_t)(at - p));
		u->has_user = true;
		u->user = sip_span(p, q ? q : at);
		if (q)
			u->password = sip_span(q + 1, at);
		if (u->user.n == 0)
			return diag_set(reterr, (size_t)(p - u->text.s), "user expected");
		p = at + 1;
	}
	err = sip_hostport_parse(&p, end, &hp, reterr, u->text.s);
	if (err < 0)
		return err;
	u->host = hp.host;
	u->host_v6 = hp.host_v6;
	u->port_text = hp.port_text;
	u->port = hp.port;
	if (p < end && *p == ';') {
		p++;
		q = memchr(p, '?', (size_t)(end - p));
		u->params = sip_span(p, q ? q : end);
		p = q ? q : end;
		err = parse_params(u, reterr);
		if (err < 0)
			return err;
	}
	if (p < end && *p == '?') {
		u->headers = sip_span(p + 1, end);
		p = end;
	}
	if (p != end)
		return diag_set(reterr, (size_t)(p - u->text.s),
		                "unexpected character behind the host");
	return 0;
}

static int parse_tel(struct sip_uri *u, const char *p, const char *end, struct diag *reterr)
{
	const char *q = memchr(p, ';', (size_t)(end - p));

	u->user = sip_span(p, q ? q : end);
	u->has_user = u->user.n > 0;
	if (!u->has_user)
		return diag_set(reterr, (size_t)(p - u->text.s), "telephone number expected");
	if (!q)
		return 0;
	u->params = sip_span(q + 1, end);
	return parse_params(u, reterr);
}

static enum sip_scheme scheme_of(struct str s)
{
	switch (s.n) {
	case 3:
		if (sip_is(s, STR_LIT("sip")))
			return SIP_URI_SIP;
		if (sip_is(s, STR_LIT("tel")))
			return SIP_URI_TEL;
		if (sip_is(s, STR_LIT("urn")))
			return SIP_URI_URN;
		break;
	case 4:
		if (sip_is(s, STR_LIT("sips")))
			return SIP_URI_SIPS;
		if (sip_is(s, STR_LIT("tels")))
			return SIP_URI_TELS;
		break;
	}
	return SIP_URI_OTHER;
}

int sip_uri_parse(struct str in, struct sip_uri *ret_uri, struct diag *reterr)
{
	const char *p = in.s, *end = sip_end(in), *q;
	struct sip_uri u = { .text = in };
	int err = 0;

	if (in.n == 0)
		return diag_set(reterr, 0, "URI expected");
	q = sip_find_uri_end(p, end);
	if (q < end)
		return diag_set(reterr, (size_t)(q - in.s), "character not allowed in a URI");
	if (!char_is(*p, CHARS_ALPHA))
		return diag_set(reterr, 0, "URI scheme expected");
	q = sip_skip_class(p, end, CHARS_SCHEME);
	if (q == end || *q != ':')
		return diag_set(reterr, (size_t)(q - in.s), "URI scheme expected");
	u.scheme_text = sip_span(p, q);
	u.scheme = scheme_of(u.scheme_text);
	p = q + 1;
	if (u.scheme == SIP_URI_SIP || u.scheme == SIP_URI_SIPS) {
		err = parse_sip(&u, p, end, reterr);
	} else if (u.scheme == SIP_URI_TEL || u.scheme == SIP_URI_TELS) {
		err = parse_tel(&u, p, end, reterr);
	} else {
		u.host = sip_span(p, end);
		if (u.host.n == 0)
			err = diag_set(reterr, in.n, "nothing behind the URI scheme");
	}
	if (err < 0)
		return err;
	*ret_uri = u;
	return 0;
}

uint16_t sip_uri_default_port(const struct sip_uri *uri)
{
	return uri->scheme == SIP_URI_SIPS || uri->proto == SIP_PROTO_TLS ? 5061 : 5060;
}

uint16_t sip_uri_port(const struct sip_uri *uri)
{
	return uri->port ? uri->port : sip_uri_default_port(uri);
}

/* Takes one character, decoding %XX; a '%' that starts no escape stands for itself. */
static unsigned char next_char(struct str *s, bool *ret_escaped)
{
	unsigned char c = (unsigned char)s->s[0];
	size_t used = 1;

	*ret_escaped = false;
	if (c == '%' && s->n >= 3 && char_is(s->s[1], CHARS_HEX) &&
	    char_is(s->s[2], CHARS_HEX)) {
		c = (unsigned char)(num_hex_digit(s->s[1]) << 4 | num_hex_digit(s->s[2]));
		used = 3;
		*ret_escaped = true;
	}
	s->s += used;
	s->n -= used;
	return c;
}

int sip_unescape(struct str in, char *out)
{
	size_t n = 0;
	bool escaped;

	while (in.n > 0) {
		bool percent = in.s[0] == '%';
		unsigned char c = next_char(&in, &escaped);

		if (percent && !escaped)
			return -EBADMSG;
		out[n++] = (char)c;
	}
	return n > INT32_MAX ? -EBADMSG : (int)n;
}

/* Reserved characters differ from their escaped form (RFC 3261, 19.1.4), all others do not. */
static bool is_reserved(unsigned char c)
{
	return c != 0 && strchr(";/?:@&=+$,", c) != NULL;
}

static bool same_text(struct str a, struct str b, bool fold)
{
	bool ea, eb;

	while (a.n > 0 && b.n > 0) {
		unsigned char x = next_char(&a, &ea), y = next_char(&b, &eb);

		if (fold) {
			x = (unsigned char)char_lower((char)x);
			y = (unsigned char)char_lower((char)y);
		}
		if (x != y || (ea != eb && is_reserved(x)))
			return false;
	}
	return a.n == 0 && b.n == 0;
}

static bool same_host(const struct sip_uri *a, const struct sip_uri *b)
{
	char z[INET6_ADDRSTRLEN + 1];
	struct in6_addr x, y;

	if (a->host_v6 != b->host_v6)
		return false;
	if (!a->host_v6)
		return str_ieq(a->host, b->host);
	memcpy(z, a->host.s, a->host.n);
	z[a->host.n] = '\0';
	if (inet_pton(AF_INET6, z, &x) != 1)
		return false;
	memcpy(z, b->host.s, b->host.n);
	z[b->host.n] = '\0';
	return inet_pton(AF_INET6, z, &y) == 1 && memcmp(&x, &y, sizeof(x)) == 0;
}

/* Parameters that count even when only one of the two URIs has them. */
static bool is_decisive(struct str name)
{
	static const struct str decisive[] = { STR_LIT("user"), STR_LIT("ttl"), STR_LIT("method"),
		                               STR_LIT("maddr"), STR_LIT("transport") };

	for (size_t i = 0; i < ARRAY_LEN(decisive); i++)
		if (str_ieq(name, decisive[i]))
			return true;
	return false;
}

/* Comparing lists costs the product of their lengths, and they come from the network. Longer ones
 * differ. */
#define COMPARED_MAX 64u

/* Every parameter of a that b has too is the same there; all: b must have each (tel, RFC 3966, 4).
 */
static bool params_match(struct str a, struct str b, bool all)
{
	struct sip_param x, y;

	for (unsigned n = 0; sip_param_next(&a, &x) > 0; n++) {
		if (n == COMPARED_MAX)
			return false;
		if (sip_param_find(b, x.name, &y)) {
			if (!same_text(x.value, y.value, true))
				return false;
		} else if (all || is_decisive(x.name)) {
			return false;
		}
	}
	return true;
}

static bool header_next(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	ptrdiff_t amp, eq;
	struct str one;

	if (rest->n == 0)
		return false;
	amp = str_find_char(*rest, '&');
	one = amp < 0 ? *rest : str_sub(*rest, 0, (size_t)amp);
	*rest = amp < 0 ? STR_NULL : str_sub(*rest, (size_t)amp + 1, rest->n);
	eq = str_find_char(one, '=');
	*ret_name = eq < 0 ? one : str_sub(one, 0, (size_t)eq);
	*ret_value = eq < 0 ? STR_NULL : str_sub(one, (size_t)eq + 1, one.n);
	return true;
}

/* Every header of a is in b. */
static bool headers_in(struct str a, struct str b)
{
	struct str name, value, n2, v2;

	for (unsigned n = 0; header_next(&a, &name, &value); n++) {
		struct str rest = b;
		bool found = false;

		if (n == COMPARED_MAX)
			return false;
		while (!found && header_next(&rest, &n2, &v2))
			found = same_text(name, n2, true) && same_text(value, v2, false);
		if (!found)
			return false;
	}
	return true;
}

/* Telephone numbers: visual separators do not count (RFC 3966, 5). */
static bool same_number(struct str a, struct str b)
{
	size_t i = 0, k = 0;

	for (;;) {
		while (i < a.n && strchr("-.()", a.s[i]) && a.s[i])
			i++;
		while (k < b.n && strchr("-.()", b.s[k]) && b.s[k])
			k++;
		if (i == a.n || k == b.n)
			return i == a.n && k == b.n;
		if (char_lower(a.s[i++]) != char_lower(b.s[k++]))
			return false;
	}
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
	if (str_eq(a->text, b->text))
		return true; /* also where a parameter is repeated with another value */
	if (a->scheme != b->scheme || !str_ieq(a->scheme_text, b->scheme_text))
		return false;
	switch (a->scheme) {
	case SIP_URI_SIP:
	case SIP_URI_SIPS:
		return a->has_user == b->has_user && same_text(a->user, b->user, false) &&
		       same_text(a->user_params, b->user_params, false) && same_text(a->password, b->password, false) && same_host(a, b) &&
		       (a->port_text.n > 0) == (b->port_text.n > 0) && a->port == b->port &&
		       params_match(a->params, b->params, false) &&
		       params_match(b->params, a->params, false) &&
		       headers_in(a->headers, b->headers) && headers_in(b->headers, a->headers);
	case SIP_URI_TEL:
	case SIP_URI_TELS:
		return same_number(a->user, b->user) && params_match(a->params, b->params, true) &&
		       params_match(b->params, a->params, true);
	case SIP_URI_URN:
	case SIP_URI_OTHER:
		break;
	}
	return str_eq(a->host, b->host);
}
