/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The items that name sockets: listen, alias, socket. Their words are read in the lexer's address mode, where
 * "udp:10.0.0.1:5060" is one token; the first token that cannot be an address ends it, and is read again as the next item's.
 */
#include "core/script/parser_priv.h"

#include "core/base/num.h"

/* "[proto:]host[:port]" cut in its parts. */
static bool addr_split(struct str text, enum sip_proto *ret_proto, struct str *ret_host, uint16_t *ret_port)
{
	struct str s = text, port = STR_NULL;
	ptrdiff_t colon = str_find_char(s, ':');
	uint32_t v = 0;

	*ret_proto = SIP_PROTO_NONE;
	if (colon > 0 && (sip_proto_lookup(str_sub(s, 0, (size_t)colon)) != SIP_PROTO_NONE ||
			  str_eq(str_sub(s, 0, (size_t)colon), STR_LIT("*")))) {
		*ret_proto = sip_proto_lookup(str_sub(s, 0, (size_t)colon));
		s = str_sub(s, (size_t)colon + 1, s.n);
	}
	if (s.n > 0 && s.s[0] == '[') {
		ptrdiff_t end = str_find_char(s, ']');

		if (end < 0)
			return false;
		*ret_host = str_sub(s, 0, (size_t)end + 1);
		s = str_sub(s, (size_t)end + 1, s.n);
		if (s.n > 0 && s.s[0] != ':')
			return false;
		port = str_sub(s, 1, s.n);
	} else {
		colon = str_find_char(s, ':');
		if (colon >= 0 && str_rfind_char(s, ':') == colon) {
			port = str_sub(s, (size_t)colon + 1, s.n);
			s = str_sub(s, 0, (size_t)colon);
			if (port.n == 0)
				return false;
		}
		*ret_host = s;
	}
	if (port.n > 0 && !str_eq(port, STR_LIT("*")) && (num_u32(port, &v) < 0 || v > 65535))
		return false;
	*ret_port = (uint16_t)v;
	return ret_host->n > 0;
}

/* In address mode: does the token begin the next item? Then it is made an ordinary one. */
static bool addr_ends(struct parser *p)
{
	struct str t = p->tok.text;
	size_t i;

	if (tok_is_text(p))
		return false;
	if (!tok_is(p, T_ADDR))
		return true;
	if (!parser_is_item_word(t)) {
		if (lexer_peek_char(p->lx) != '=' && lexer_peek_char(p->lx) != '[')
			return false;
		/* "group.name = 1": to be read again, as separate words */
		for (i = 0; i < t.n; i++) {
			if (t.s[i] == '.' || t.s[i] == '[') {
				lexer_addr_mode(p->lx, false);
				lexer_unread(p->lx, t);
				tok_advance(p);
				return true;
			}
		}
	}
	p->tok.kind = T_ID;
	return true;
}

static void addr_leave(struct parser *p)
{
	lexer_addr_mode(p->lx, false);
	if (tok_is(p, T_ADDR)) {
		struct str t = p->tok.text;

		lexer_unread(p->lx, t);
		tok_advance(p);
	}
}

struct bind {
	struct pos pos;
	struct str text;
};

/* "(a,b)", multi-homing: each address becomes a socket. False: it is not of this form. */
static bool listen_add_group(struct parser *p, struct pos pos, struct str group, struct net_listen_spec *spec)
{
	struct diag why = { 0 };
	ptrdiff_t comma;

	if (group.s[group.n - 1] != ')')
		return false;
	group = str_sub(group, 1, group.n - 2);
	do {
		comma = str_find_char(group, ',');
		spec->host = load_dup(p->ld, str_trim(comma < 0 ? group : str_sub(group, 0, (size_t)comma)));
		if (spec->host.n == 0)
			return false;
		parser_host_says(p, pos, p->ld->opts->host->listen(spec, &why), &why);
		group = str_sub(group, (size_t)(comma + 1), group.n);
	} while (comma >= 0);
	return true;
}

static bool listen_add(struct parser *p, struct pos pos, struct str text, const struct net_listen_spec *tail)
{
	struct net_listen_spec spec = *tail;
	struct diag why = { 0 };
	struct str host;

	if (!addr_split(text, &spec.proto, &host, &spec.port) || (host.s[0] == '(' && !listen_add_group(p, pos, host, &spec))) {
		load_error(p->ld, pos, "bad address '%.*s'", STR_FMT(text));
		return true;
	}
	if (host.s[0] == '(')
		return true;
	spec.host = load_dup(p->ld, host);
	return parser_host_says(p, pos, p->ld->opts->host->listen(&spec, &why), &why);
}

static bool is_opt_word(const struct parser *p, const char *lower, const char *upper)
{
	return (tok_is(p, T_ADDR) || tok_is(p, T_ID)) &&
	       (str_eq(p->tok.text, str_lit(lower)) || str_eq(p->tok.text, str_lit(upper)));
}

/* listen = sock { sock } [ advertise ... ] [ name "x" ] [ virtual ] */
bool parser_listen(struct parser *p)
{
	struct net_listen_spec tail = { 0 };
	struct bind binds[64];
	unsigned n = 0, i;
	enum sip_proto proto;

	lexer_addr_mode(p->lx, true);
	tok_advance(p);
	while (!addr_ends(p) && !is_opt_word(p, "advertise", "ADVERTISE") && !is_opt_word(p, "name", "NAME") &&
	       !is_opt_word(p, "virtual", "VIRTUAL")) {
		if (n == ARRAY_LEN(binds)) {
			load_error(p->ld, p->tok.pos, "more than %zu addresses in one listen", ARRAY_LEN(binds));
			break;
		}
		binds[n++] = (struct bind){ p->tok.pos, p->tok.text };
		tok_advance(p);
	}
	if (n == 0) {
		lexer_addr_mode(p->lx, false);
		return parser_expected(p, "address");
	}
	if (is_opt_word(p, "advertise", "ADVERTISE")) {
		tok_advance(p);
		if ((!tok_is(p, T_ADDR) && !tok_is_text(p)) || !addr_split(p->tok.text, &proto, &tail.adv_host, &tail.adv_port)) {
			lexer_addr_mode(p->lx, false);
			return parser_expected(p, "address to advertise");
		}
		tail.adv_host = load_dup(p->ld, tail.adv_host);
		tok_advance(p);
	}
	if (is_opt_word(p, "name", "NAME")) {
		tok_advance(p);
		if (!tok_is_text(p)) {
			lexer_addr_mode(p->lx, false);
			return parser_expected(p, "name in quotes");
		}
		tail.name = p->tok.text;
		tok_advance(p);
	}
	if (is_opt_word(p, "virtual", "VIRTUAL")) {
		tail.is_virtual = true;
		tok_advance(p);
	}
	if (tok_is(p, T_ADDR) && !addr_ends(p)) {
		lexer_addr_mode(p->lx, false);
		return parser_expected(p, "next item (the order is: addresses, advertise, name, virtual)");
	}
	addr_leave(p);
	for (i = 0; i < n; i++)
		listen_add(p, binds[i].pos, binds[i].text, &tail);
	return true;
}

bool parser_alias(struct parser *p)
{
	unsigned n = 0;

	lexer_addr_mode(p->lx, true);
	tok_advance(p);
	while (!addr_ends(p)) {
		enum sip_proto proto;
		struct diag why = { 0 };
		struct pos pos = p->tok.pos;
		struct str host;
		uint16_t port;

		if (!addr_split(p->tok.text, &proto, &host, &port))
			load_error(p->ld, pos, "bad name '%.*s'", STR_FMT(p->tok.text));
		else
			parser_host_says(p, pos, p->ld->opts->host->alias(proto, load_dup(p->ld, host), port, &why), &why);
		n++;
		tok_advance(p);
	}
	addr_leave(p);
	return n > 0 || parser_expected(p, "name");
}

/* socket = { bind = udp:10.0.0.1:5060-5070; name = "x"; ... } */
bool parser_socket(struct parser *p)
{
	struct net_listen_spec tail = { 0 };
	struct bind bind = { 0 };
	struct str addr = STR_NULL, name;
	uint32_t last = 0, first = 0, k;
	enum sip_proto proto;
	bool ok = true;

	tok_advance(p);
	if (!parser_take(p, (enum tok)'{', "'{'"))
		return false;
	while (ok && !tok_is(p, (enum tok)'}')) {
		struct token attr = p->tok;

		if (tok_is(p, (enum tok)';')) {
			tok_advance(p);
			continue;
		}
		if (!tok_is(p, T_ID))
			return parser_expected(p, "attribute of the socket");
		tok_advance(p);
		if (!tok_is(p, (enum tok)'='))
			return parser_expected(p, "'='");
		if (str_eq(attr.text, STR_LIT("bind")) || str_eq(attr.text, STR_LIT("advertise"))) {
			bool is_bind = attr.text.s[0] == 'b';

			lexer_addr_mode(p->lx, true);
			tok_advance(p);
			lexer_addr_mode(p->lx, false);
			if (!tok_is(p, T_ADDR) && !tok_is_text(p))
				return parser_expected(p, "address");
			if (is_bind)
				bind = (struct bind){ p->tok.pos, p->tok.text };
			else if (!addr_split(p->tok.text, &proto, &tail.adv_host, &tail.adv_port))
				return parser_expected(p, "address");
			tok_advance(p);
		} else if (str_eq(attr.text, STR_LIT("name")) || str_eq(attr.text, STR_LIT("agname")) ||
			   str_eq(attr.text, STR_LIT("vrf"))) {
			tok_advance(p);
			if (!tok_is_text(p))
				return parser_expected(p, "text in quotes");
			if (str_eq(attr.text, STR_LIT("name")))
				tail.name = p->tok.text;
			else if (str_eq(attr.text, STR_LIT("agname")))
				load_warning(p->ld, attr.pos, "agname has no effect: every worker serves every socket");
			else
				load_error(p->ld, attr.pos, "vrf is not supported");
			tok_advance(p);
		} else if (str_eq(attr.text, STR_LIT("workers")) || str_eq(attr.text, STR_LIT("virtual"))) {
			tok_advance(p);
			if (!tok_is(p, T_NUM))
				return parser_expected(p, "number");
			if (str_eq(attr.text, STR_LIT("virtual")))
				tail.is_virtual = p->tok.num != 0;
			else
				load_warning(p->ld, attr.pos, "workers of a socket has no effect: every worker serves every socket");
			tok_advance(p);
		} else {
			load_error(p->ld, attr.pos, "unknown attribute '%.*s': bind, name, advertise, agname, workers, virtual or vrf",
				   STR_FMT(attr.text));
			ok = false;
		}
	}
	if (!ok)
		return false;
	tok_advance(p);
	if (bind.text.n == 0) {
		load_error(p->ld, p->tok.pos, "socket without bind");
		return true;
	}
	addr = bind.text;
	if (str_rfind_char(addr, '-') > str_rfind_char(addr, ':') && str_rfind_char(addr, ':') > 0) {
		ptrdiff_t dash = str_rfind_char(addr, '-'), colon = str_rfind_char(addr, ':');

		if (num_u32(str_sub(addr, (size_t)dash + 1, addr.n), &last) == 0 &&
		    num_u32(str_sub(addr, (size_t)colon + 1, (size_t)(dash - colon - 1)), &first) == 0) {
			if (last < first || last > 65535 || last - first > 255) {
				load_error(p->ld, bind.pos, "bad range of ports '%.*s'", STR_FMT(addr));
				return true;
			}
			addr = str_sub(addr, 0, (size_t)colon);
		}
	}
	if (last == 0)
		return listen_add(p, bind.pos, addr, &tail);
	name = tail.name;
	for (k = first; k <= last; k++) {
		struct net_listen_spec one = tail;
		struct str text;

		if (pool_printf(p->ld->pool, &text, "%.*s:%u", STR_FMT(addr), k) < 0 ||
		    (name.n > 0 && pool_printf(p->ld->keep, &one.name, "%.*s%u", STR_FMT(name), k) < 0)) {
			load_error(p->ld, bind.pos, "out of memory");
			return true;
		}
		if (tail.adv_port > 0)
			one.adv_port = (uint16_t)(tail.adv_port + (k - first));
		listen_add(p, bind.pos, text, &one);
	}
	return true;
}
