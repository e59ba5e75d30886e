/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses: ["display"] <URI> ;params, or a bare URI ;params, and comma-separated lists of them. A
 * bare URI ends at the first ';' (what follows belongs to the field), and may hold neither '?' nor
 * ',' (RFC 3261, 20.10). A display name without quotes may hold anything but the characters that
 * have a meaning here, since people write UTF-8 and dots there; RFC 4475, 3.1.2.15 is why a comma
 * is refused.
 */
#include "core/sip/addr.h"

#include <errno.h>

#include "core/base/strbuf.h"
#include "core/sip/sip_priv.h"

static int parse_params(struct sip_addr *a, struct str in, struct diag *reterr)
{
	struct str rest = a->params;
	struct sip_param param;
	int more;

	while ((more = sip_param_next(&rest, &param)) > 0)
		if (param.name.n == 3 && a->tag.n == 0 && sip_is(param.name, STR_LIT("tag")))
			a->tag = param.value;
	if (more < 0)
		return diag_set(reterr, (size_t)(rest.s - in.s), "bad parameter");
	return 0;
}

/* "<" URI ">" at p. */
static int parse_bracketed(struct sip_addr *a, const char **pos, const char *end, const char *base,
                           struct diag *reterr)
{
	const char *p = *pos + 1, *q;

	for (q = p; (q = sip_find_uri_end(q, end)) < end && *q != '>'; q++)
		if (char_is(*q, CHARS_LWS) || *q == '<')
			return diag_set(reterr, (size_t)(q - base), "white space or '<' inside <>");
	if (q == end)
		return diag_set(reterr, (size_t)(p - base), "'>' expected");
	if (q == p)
		return diag_set(reterr, (size_t)(p - base), "URI expected");
	a->uri = sip_span(p, q);
	a->bracketed = true;
	*pos = q + 1;
	return 0;
}

static int parse_bare(struct sip_addr *a, const char **pos, const char *end, const char *base,
                      struct diag *reterr)
{
	const char *p = *pos, *q;
	bool colon = false;

	for (q = p; q < end && *q != ';' && !char_is(*q, CHARS_LWS); q++) {
		if (*q == '?' || *q == ',' || *q == '>')
			return diag_set(reterr, (size_t)(q - base), "this URI needs <>");
		colon |= *q == ':';
	}
	if (!colon)
		return diag_set(reterr, (size_t)(p - base), "URI expected");
	a->uri = sip_span(p, q);
	*pos = q;
	return 0;
}

int sip_addr_parse(struct str in, struct sip_addr *ret_addr, struct diag *reterr)
{
	struct str s = sip_trim(in);
	const char *p = s.s, *end = sip_end(s), *q;
	struct sip_addr a = { .text = s };
	int err;

	if (s.n == 0)
		return diag_set(reterr, 0, "address expected");
	if (s.n == 1 && *p == '*') {
		a.star = true;
		*ret_addr = a;
		return 0;
	}
	if (*p == '"') {
		q = sip_skip_quoted(p, end);
		if (!q)
			return diag_set(reterr, (size_t)(p - in.s), "quote not closed");
		a.display = sip_span(p, q);
		q = sip_skip_ws(q, end);
		if (q == end || *q != '<')
			return diag_set(reterr, (size_t)(q - in.s), "'<' expected");
	} else {
		for (q = p; q < end && *q != '<' && *q != ';' && *q != '"' && *q != ','; q++)
			;
		if (q < end && *q == '<')
			a.display = sip_trim(sip_span(p, q));
	}
	if (q < end && *q == '<') {
		err = parse_bracketed(&a, &q, end, in.s, reterr);
	} else {
		q = p;
		err = parse_bare(&a, &q, end, in.s, reterr);
	}
	if (err < 0)
		return err;
	q = sip_skip_ws(q, end);
	if (q < end) {
		if (*q != ';')
			return diag_set(reterr, (size_t)(q - in.s), "';' expected");
		a.params = sip_span(q + 1, end);
		err = parse_params(&a, in, reterr);
		if (err < 0)
			return err;
	}
	*ret_addr = a;
	return 0;
}

int sip_list_next(struct str *rest, struct str *ret_item)
{
	const char *p = rest->s, *end = sip_end(*rest), *start;
	struct str item;

	while (rest->n > 0 && p < end && (*p == ',' || char_is(*p, CHARS_LWS)))
		p++;
	if (rest->n == 0 || p == end) {
		*rest = STR_NULL;
		return 0;
	}
	start = p;
	for (;;) {
		p = sip_find3(p, end, ',', '"', '<');
		if (p == end || *p == ',')
			break;
		if (*p == '"') {
			p = sip_skip_quoted(p, end);
			if (!p)
				return -EBADMSG;
		} else {
			p = memchr(p, '>', (size_t)(end - p));
			if (!p)
				return -EBADMSG;
			p++;
		}
	}
	item = sip_trim(sip_span(start, p));
	*rest = p < end ? sip_span(p + 1, end) : STR_NULL;
	*ret_item = item;
	return 1;
}

int sip_addr_next(struct str *rest, struct sip_addr *ret_addr, struct diag *reterr)
{
	struct str item, tail = *rest;
	int err = sip_list_next(&tail, &item);

	if (err < 0)
		return diag_set(reterr, 0, "quote or '<' not closed");
	if (err == 0)
		return 0;
	err = sip_addr_parse(item, ret_addr, reterr);
	if (err < 0)
		return err;
	*rest = tail;
	return 1;
}

void sip_q_add(struct strbuf *sb, int q)
{
	char d[4] = { '.', (char)('0' + q / 100 % 10), (char)('0' + q / 10 % 10), (char)('0' + q % 10) };
	size_t n = sizeof(d);

	strbuf_add_lit(sb, ";q=");
	if (q == 1000) {
		strbuf_add_char(sb, '1');
		return;
	}
	strbuf_add_char(sb, '0');
	while (n > 1 && d[n - 1] == '0')
		n--;
	if (n > 1)
		strbuf_add(sb, str_of(d, n));
}
