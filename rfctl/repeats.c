/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some commands answer with objects in which a name repeats (pv.shvGet: "shv" for each variable), of which JSON libraries keep the last. Such
 * an object is read as an array of objects of one member each, as binrpc's are (bin.c). What gets here is known to be JSON, not deeper than
 * the library goes, so no end needs to be looked for.
 */
#include <string.h>

#include "rfctl/rfctl.h"

static const char *past_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

static const char *past_scalar(const char *p)
{
	if (*p != '"') {
		while (!strchr(",]} \t\n\r", *p))
			p++;
		return p;
	}
	for (p++; *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static json_t *scalar(const char **p)
{
	const char *begin = *p;

	*p = past_scalar(begin);
	return json_loadb(begin, (size_t)(*p - begin), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static json_t *value(const char **p);

static json_t *object(const char **p)
{
	json_t *whole = json_object(), *parts = json_array();
	bool repeats = false;

	for (*p = past_space(*p + 1); **p != '}'; *p = past_space(*p + (**p == ','))) {
		json_t *name = scalar(p), *v, *part = json_object();

		*p = past_space(past_space(*p) + 1);
		v = value(p);
		*p = past_space(*p);
		repeats |= json_object_get(whole, json_string_value(name)) != NULL;
		json_object_set(whole, json_string_value(name), v);
		json_object_set_new(part, json_string_value(name), v);
		json_array_append_new(parts, part);
		json_decref(name);
	}
	++*p;
	json_decref(repeats ? whole : parts);
	return repeats ? parts : whole;
}

static json_t *array(const char **p)
{
	json_t *list = json_array();

	for (*p = past_space(*p + 1); **p != ']'; *p = past_space(*p + (**p == ','))) {
		json_array_append_new(list, value(p));
		*p = past_space(*p);
	}
	++*p;
	return list;
}

static json_t *value(const char **p)
{
	return **p == '{' ? object(p) : **p == '[' ? array(p) : scalar(p);
}

json_t *rf_json_load(struct str text)
{
	json_t *doc = json_loadb(text.s, text.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	const char *p;

	if (doc)
		return doc;
	doc = json_loadb(text.s, text.n, JSON_ALLOW_NUL, NULL);
	if (!doc)
		return NULL;
	json_decref(doc);
	p = past_space(text.s);
	return value(&p);
}
