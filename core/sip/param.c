/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameter lists: name[=value] separated by ';'. Values are tokens, hosts or quoted strings; what
 * an unquoted value may hold is left wide, since people put URIs, addresses and UTF-8 there. Empty
 * parameters (";;" or a ';' at the end) carry nothing and are skipped.
 */
#include <errno.h>

#include "core/sip/param.h"
#include "core/sip/sip_priv.h"

/* The unquoted value: up to ';' or white space; quotes inside it have to be closed. */
static const char *skip_value(const char *p, const char *end)
{
	while (p < end && *p != ';' && !sip_char_is(*p, CHARS_LWS)) {
		if (*p == '"')
			return NULL;
		p++;
	}
	return p;
}

int sip_param_next(struct str *rest, struct sip_param *ret_param)
{
	const char *p = rest->s, *end = sip_end(*rest), *name, *value;
	struct sip_param out = { 0 };

	if (rest->n == 0)
		return 0;
	while (p < end && (*p == ';' || sip_char_is(*p, CHARS_LWS)))
		p++;
	if (p == end) {
		*rest = sip_span(end, end);
		return 0;
	}
	name = p;
	while (p < end && *p != '=' && *p != ';' && *p != '"' && !sip_char_is(*p, CHARS_LWS))
		p++;
	out.name = sip_span(name, p);
	out.raw = out.name;
	if (out.name.n == 0)
		return -EBADMSG;
	p = sip_skip_ws(p, end);
	if (p < end && *p == '=') {
		p = sip_skip_ws(p + 1, end);
		out.has_value = true;
		value = p;
		if (p < end && *p == '"') {
			p = sip_skip_quoted(p, end);
			if (!p)
				return -EBADMSG;
			out.quoted = true;
			out.value = sip_span(value + 1, p - 1);
		} else {
			p = skip_value(p, end);
			if (!p)
				return -EBADMSG;
			out.value = sip_span(value, p);
		}
		out.raw = sip_span(name, p);
		p = sip_skip_ws(p, end);
	}
	if (p < end && *p != ';')
		return -EBADMSG;
	*rest = sip_span(p, end);
	*ret_param = out;
	return 1;
}

bool sip_param_find(struct str list, struct str name, struct sip_param *ret_param)
{
	struct sip_param param;

	while (sip_param_next(&list, &param) > 0) {
		if (str_ieq(param.name, name)) {
			*ret_param = param;
			return true;
		}
	}
	return false;
}
