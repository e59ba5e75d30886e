/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameter lists: name[=value] separated by ';'. Values are tokens, hosts or quoted strings; what
 * an unquoted value may hold is left wide, since people put URIs, addresses and UTF-8 there. Empty
 * parameters (";;" or a ';' at the end) carry nothing and are skipped.
 */
#include <errno.h>

#include "core/sip/param.h"
#include "core/sip/sip_priv.h"

/* What ends a name: one table read for each byte, as names are short. */
static const uint8_t ends_name[256] = {
	[' '] = 1, ['\t'] = 1, ['\r'] = 1, ['\n'] = 1, [';'] = 1, ['"'] = 1, ['='] = 1,
};

static inline const char *skip_name(const char *p, const char *end)
{
	while (p < end && !ends_name[(unsigned char)*p])
		p++;
	return p;
}

/* An unquoted value goes up to white space, ';' or '"'; other controls are part of it. */
static inline const char *skip_value(const char *p, const char *end)
{
	for (;; p++) {
		p = sip_find(p, end, (struct sip_stops){ ';', '"', ';', '"', true });
		if (p == end || *p == ';' || *p == '"' || char_is(*p, CHARS_LWS))
			return p;
	}
}

int sip_param_next(struct str *rest, struct sip_param *ret_param)
{
	const char *p = rest->s, *end = sip_end(*rest), *name, *name_end, *value = NULL, *value_end = NULL, *raw_end;
	bool has_value = false, quoted = false;

	if (rest->n == 0)
		return 0;
	while (p < end && (*p == ';' || char_is(*p, CHARS_LWS)))
		p++;
	if (p == end) {
		*rest = sip_span(end, end);
		return 0;
	}
	name = p;
	name_end = raw_end = p = skip_name(p, end);
	if (name_end == name)
		return -EBADMSG;
	p = sip_skip_ws(p, end);
	if (p < end && *p == '=') {
		has_value = true;
		value = p = sip_skip_ws(p + 1, end);
		if (p < end && *p == '"') {
			p = sip_skip_quoted(p, end);
			if (!p)
				return -EBADMSG;
			quoted = true;
			value++;
			value_end = p - 1;
		} else {
			value_end = p = skip_value(p, end);
			if (p < end && *p == '"')
				return -EBADMSG; /* quotes enclose a whole value */
		}
		raw_end = p;
		p = sip_skip_ws(p, end);
	}
	if (p < end && *p != ';')
		return -EBADMSG;
	*rest = sip_span(p, end);
	ret_param->name = sip_span(name, name_end);
	ret_param->value = has_value ? sip_span(value, value_end) : STR_NULL;
	ret_param->raw = sip_span(name, raw_end);
	ret_param->has_value = has_value;
	ret_param->quoted = quoted;
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
