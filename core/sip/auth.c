/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digest credentials: scheme, then name=value separated by commas. Views hold what stands between
 * the quotes, escapes kept, because that is what both sides hash. A field given twice is refused:
 * which of the two counts would be a matter of taste, and one taste checks while the other one
 * uses.
 */
#include "core/sip/auth.h"

#include <errno.h>

#include "core/sip/sip_priv.h"

static const struct field {
	struct str name;
	size_t offset;
} fields[] = {
	{ STR_LIT("username"), offsetof(struct sip_credentials, username) },
	{ STR_LIT("realm"), offsetof(struct sip_credentials, realm) },
	{ STR_LIT("nonce"), offsetof(struct sip_credentials, nonce) },
	{ STR_LIT("uri"), offsetof(struct sip_credentials, uri) },
	{ STR_LIT("response"), offsetof(struct sip_credentials, response) },
	{ STR_LIT("algorithm"), offsetof(struct sip_credentials, algorithm) },
	{ STR_LIT("cnonce"), offsetof(struct sip_credentials, cnonce) },
	{ STR_LIT("opaque"), offsetof(struct sip_credentials, opaque) },
	{ STR_LIT("qop"), offsetof(struct sip_credentials, qop) },
	{ STR_LIT("nc"), offsetof(struct sip_credentials, nc) },
};

static int take_field(struct sip_credentials *c, struct str name, struct str value, size_t pos,
                      struct diag *reterr)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str *field;

		if (fields[i].name.n != name.n || !str_ieq(fields[i].name, name))
			continue;
		field = (struct str *)(void *)((char *)c + fields[i].offset);
		if (field->s)
			return diag_set(reterr, pos, "credentials field given twice");
		*field = value;
		return 0;
	}
	return 0; /* unknown fields are allowed (auth-param) */
}

/* One name=value at *pos; moves behind it and the comma. */
static int parse_field(struct sip_credentials *c, const char **pos, const char *end,
                       const char *base, struct diag *reterr)
{
	const char *p = *pos, *q = sip_skip_class(p, end, CHARS_TOKEN);
	struct str name = sip_span(p, q), value;

	q = sip_skip_ws(q, end);
	if (name.n == 0 || q == end || *q != '=')
		return diag_set(reterr, (size_t)(q - base), "name=value expected in credentials");
	q = sip_skip_ws(q + 1, end);
	if (q < end && *q == '"') {
		value.s = q + 1;
		q = sip_skip_quoted(q, end);
		if (!q)
			return diag_set(reterr, (size_t)(value.s - base), "quote not closed");
		value = sip_span(value.s, q - 1);
	} else {
		value.s = q;
		while (q < end && *q != ',' && *q != '"' && !char_is(*q, CHARS_LWS))
			q++;
		value = sip_span(value.s, q);
	}
	q = sip_skip_ws(q, end);
	if (q < end && *q != ',')
		return diag_set(reterr, (size_t)(q - base), "',' expected in credentials");
	*pos = q;
	return take_field(c, name, value, (size_t)(p - base), reterr);
}

int sip_credentials_parse(struct str in, struct sip_credentials *ret_cred, struct diag *reterr)
{
	struct str s = sip_trim(in);
	const char *p = s.s, *end = sip_end(s), *q;
	struct sip_credentials c = { 0 };
	ptrdiff_t at;
	int err;

	q = sip_skip_class(p, end, CHARS_TOKEN);
	c.scheme = sip_span(p, q);
	if (c.scheme.n == 0 || (q < end && !char_is(*q, CHARS_LWS)))
		return diag_set(reterr, (size_t)(q - in.s), "authentication scheme expected");
	c.is_digest = str_ieq(c.scheme, STR_LIT("Digest"));
	p = c.is_digest ? q : end;
	for (;;) {
		while (p < end && (*p == ',' || char_is(*p, CHARS_LWS)))
			p++;
		if (p == end)
			break;
		err = parse_field(&c, &p, end, in.s, reterr);
		if (err < 0)
			return err;
	}
	at = str_find_char(c.username, '@');
	c.user = at < 0 ? c.username : str_sub(c.username, 0, (size_t)at);
	if (at >= 0)
		c.domain = str_sub(c.username, (size_t)at + 1, c.username.n);
	*ret_cred = c;
	return 0;
}
