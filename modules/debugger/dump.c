/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dbg_pv_dump(): the values of all variables that the script names, as one JSON object; dbg_sip_msg(): the message as it would leave now, and
 * how that differs from what came. Variables are remembered as they are parsed (pv_on_parse()), each once, by class and name
 * without index and transformations; those that are made in texts at run time, too, up to a bound.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/avp.h"
#include "core/base/strbuf.h"
#include "core/main/params.h"
#include "core/sip/build.h"
#include "modules/debugger/debugger_priv.h"

#define SEEN_MAX 4096u
#define SEEN_BUCKETS 512u
#define DUMP_MAX 16000u /* what a line of the log takes */

enum { DUMP_NULL = 1, DUMP_AVP = 2, DUMP_SCRIPT = 4, DUMP_XAVP = 8, DUMP_OTHER = 16, DUMP_DEFAULT = 31 };

struct seen {
	struct seen *next, *chain; /* in order; of the bucket */
	unsigned bit;
	struct str name;  /* $xavp(x=>y): x; else inner */
	struct pv_spec *spec; /* NULL for AVPs: read from the set */
	char text[];
};

static struct {
	struct seen *first, **last, *bucket[SEEN_BUCKETS];
	unsigned n;
	struct pool *pool; /* of the specs */
	bool inside;       /* a spec of our own is being parsed */
} self = { .last = &self.first };

/* ---- what there is ---- */

static unsigned class_of(const char *name)
{
	if (strcmp(name, "avp") == 0)
		return DUMP_AVP;
	if (strcmp(name, "xavp") == 0)
		return DUMP_XAVP;
	return strcmp(name, "var") == 0 ? DUMP_SCRIPT : DUMP_OTHER;
}

static unsigned bucket_of(const char *text, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return (h ^ h >> 16) % SEEN_BUCKETS;
}

/* The name that the JSON has: "$ru", "$avp(x)", "$xavp(x)" for any field of it. Returns its length; 0: not one that can be shown. */
static size_t name_of(const struct pv_spec *spec, char *out, size_t cap, struct str *ret_name)
{
	unsigned bit = class_of(spec->def->name);
	struct str inner = spec->inner;
	ptrdiff_t cut;
	int n;

	if (spec->inner_fmt || (inner.n > 0 && memchr(inner.s, '$', inner.n)))
		return 0; /* which one it is depends on the message */
	if (bit == DUMP_AVP && inner.n > 2 && (str_starts(inner, STR_LIT("s:")) || str_starts(inner, STR_LIT("i:"))) && inner.s[0] == 's')
		inner = str_sub(inner, 2, inner.n);
	if (bit == DUMP_XAVP) {
		cut = str_find(inner, STR_LIT("=>"));
		inner = cut < 0 ? inner : str_sub(inner, 0, (size_t)cut);
		cut = str_find_char(inner, '[');
		inner = cut < 0 ? inner : str_sub(inner, 0, (size_t)cut);
	}
	*ret_name = inner;
	n = inner.n ? snprintf(out, cap, "$%s(%.*s)", spec->def->name, STR_FMT(inner)) : snprintf(out, cap, "$%s", spec->def->name);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static struct pv_spec *spec_of(const char *text, size_t n)
{
	struct pv_spec *spec = NULL;
	size_t len;

	if (!self.pool)
		self.pool = pool_new(4u << 20);
	self.inside = true;
	if (!self.pool || pv_parse(self.pool, str_of(text, n), &spec, &len, NULL) < 0)
		spec = NULL;
	self.inside = false;
	return spec;
}

void dbg_pv_seen(const struct pv_spec *spec)
{
	char text[256];
	struct str name;
	size_t n = self.inside || self.n >= SEEN_MAX ? 0 : name_of(spec, text, sizeof(text), &name);
	struct seen **at, *s;

	if (n == 0)
		return;
	at = &self.bucket[bucket_of(text, n)];
	for (s = *at; s; s = s->chain)
		if (strcmp(s->text, text) == 0)
			return;
	s = calloc(1, sizeof(*s) + n + 1);
	if (!s)
		return; /* then it is missing in dumps */
	memcpy(s->text, text, n + 1);
	s->bit = class_of(spec->def->name);
	s->name = name.n ? str_of(s->text + n - 1 - name.n, name.n) : STR_NULL;
	s->chain = *at;
	*at = s;
	*self.last = s;
	self.last = &s->next;
	self.n++;
}

/* ---- JSON ---- */

static void json_text(struct strbuf *sb, struct str s)
{
	strbuf_add_char(sb, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.s[i];
		const char *letters = "\b\f\n\r\t\"\\", *as = "bfnrt\"\\", *at = c ? strchr(letters, c) : NULL;

		if (at) {
			strbuf_add_char(sb, '\\');
			strbuf_add_char(sb, as[at - letters]);
		} else if (c < 0x20) {
			strbuf_printf(sb, "\\u%04x", c);
		} else {
			strbuf_add_char(sb, (char)c);
		}
	}
	strbuf_add_char(sb, '"');
}

static void json_value(struct strbuf *sb, const struct value *v)
{
	if (v->kind == VALUE_INT)
		strbuf_add_i64(sb, v->i);
	else if (v->kind == VALUE_STR)
		json_text(sb, v->s);
	else
		strbuf_add_lit(sb, "null");
}

/* Values of one name, newest first; none: nothing is written. */
static bool json_list(struct strbuf *sb, const struct avp *list, struct str name)
{
	bool any = false;

	for (const struct avp *a = list; a; a = a->next) {
		if (!str_eq(a->name, name))
			continue;
		strbuf_add_char(sb, any ? ',' : '[');
		json_value(sb, &a->value);
		any = true;
	}
	if (any)
		strbuf_add_char(sb, ']');
	return any;
}

/* One object per value of the XAVP, in it a list for each name of a field. */
static bool json_xavp(struct strbuf *sb, const struct avp *list, struct str name)
{
	bool any = false;

	for (const struct avp *a = list; a; a = a->next) {
		bool first = true;

		if (!str_eq(a->name, name))
			continue;
		strbuf_add_char(sb, any ? ',' : '[');
		any = true;
		if (!a->has_fields) {
			json_value(sb, &a->value);
			continue;
		}
		strbuf_add_char(sb, '{');
		for (const struct avp *f = a->fields; f; f = f->next) {
			const struct avp *before = a->fields;

			while (before != f && !str_eq(before->name, f->name))
				before = before->next;
			if (before != f)
				continue; /* was written with the newer one */
			if (!first)
				strbuf_add_char(sb, ',');
			first = false;
			json_text(sb, f->name);
			strbuf_add_char(sb, ':');
			(void)json_list(sb, a->fields, f->name);
		}
		strbuf_add_char(sb, '}');
	}
	if (any)
		strbuf_add_char(sb, ']');
	return any;
}

static void dump_one(struct ctx *ctx, struct seen *s, unsigned mask, struct strbuf *sb)
{
	char mem[4096];
	struct strbuf one;
	struct value v;
	bool any;

	strbuf_init_fixed(&one, mem, sizeof(mem));
	if (s->bit == DUMP_AVP || s->bit == DUMP_XAVP) {
		any = s->bit == DUMP_AVP ? json_list(&one, ctx->avps.head[AVP_PLAIN], s->name) : json_xavp(&one, ctx->avps.head[AVP_XAVP], s->name);
	} else {
		if (!s->spec)
			s->spec = spec_of(s->text, strlen(s->text));
		any = s->spec && pv_get(ctx, s->spec, &v) == 0 && v.kind != VALUE_NULL;
		if (any)
			json_value(&one, &v);
	}
	if (!any && !(mask & DUMP_NULL))
		return;
	if (sb->n > 1)
		strbuf_add_char(sb, ',');
	json_text(sb, str_lit(s->text));
	strbuf_add_char(sb, ':');
	if (!any)
		strbuf_add_lit(sb, "null");
	else if (strbuf_err(&one) < 0)
		json_text(sb, STR_LIT("(too long)"));
	else
		strbuf_add(sb, strbuf_str(&one));
}

int dbg_f_pv_dump(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	unsigned mask = n > 0 ? (unsigned)a[0].i : DUMP_DEFAULT;
	int level = n > 1 ? *(const int *)a[1].p : L_DBG;
	struct strbuf sb;

	if (!log_on(level))
		return 1;
	strbuf_init_pool(&sb, ctx->pool, DUMP_MAX);
	strbuf_add_char(&sb, '{');
	for (struct seen *s = self.first; s; s = s->next)
		if (mask & s->bit)
			dump_one(ctx, s, mask, &sb);
	strbuf_add_char(&sb, '}');
	strbuf_add_char(&sb, '\n');
	if (strbuf_err(&sb) < 0) {
		log_error("dbg_pv_dump: more than %u bytes, or no memory", DUMP_MAX);
		return -1;
	}
	log_text(level, dbg_conf.facility, NULL, strbuf_str(&sb));
	return 1;
}

/* ---- dbg_sip_msg() ---- */

/* What was taken out has "- " in front. body: of those that lie there, or of the others. */
static void add_diffs(struct strbuf *sb, const struct ctx *ctx, bool body)
{
	for (const struct sip_edit *e = ctx->edits.head; e; e = e->next) {
		if ((e->off >= ctx->msg.body_off) != body)
			continue;
		if (e->drop) {
			strbuf_add_lit(sb, "- ");
			strbuf_add(sb, str_sub(ctx->msg.buf, e->off, e->drop));
		}
		strbuf_add(sb, e->put);
	}
	if (body && ctx->edits.body_replaced) {
		strbuf_add_lit(sb, "- ");
		strbuf_add(sb, ctx->msg.body);
		strbuf_add_lit(sb, "\n");
		strbuf_add(sb, ctx->edits.new_body);
	}
}

int dbg_f_sip_msg(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level = n > 0 ? *(const int *)a[0].p : dbg_conf.log_level, facility = n > 1 ? *(const int *)a[1].p : dbg_conf.facility;
	struct str file, route, bytes;
	unsigned line = 0;
	struct strbuf sb;

	if (!log_on(level))
		return 1;
	if (sip_build_edited(ctx->pool, &ctx->msg, &ctx->edits, ctx->main.uri, &bytes) < 0) {
		log_error("dbg_sip_msg: the message cannot be built");
		return -1;
	}
	(void)vm_position(ctx, &file, &line, &route);
	strbuf_init_pool(&sb, ctx->pool, 2u * 65535u + 1024u);
	strbuf_printf(&sb, "CONFIG LINE %u\n------------------------- START OF SIP message debug --------------------------\n", line);
	strbuf_add(&sb, bytes);
	strbuf_add_lit(&sb, "------------------------------ SIP header diffs -------------------------------\n");
	add_diffs(&sb, ctx, false);
	strbuf_add_lit(&sb, "------------------------------- SIP body diffs --------------------------------\n");
	add_diffs(&sb, ctx, true);
	strbuf_add_lit(&sb, "-------------------------- END OF SIP message debug ---------------------------\n\n");
	if (strbuf_err(&sb) < 0) {
		log_error("dbg_sip_msg: no memory");
		return -1;
	}
	log_text(level, facility, NULL, strbuf_str(&sb));
	return 1;
}
