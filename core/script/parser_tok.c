/* SPDX-License-Identifier: BSD-2-Clause */
/* The ground of the parser: what was expected instead of a token, making nodes, handing on errors of the host. */
#include "core/script/parser_priv.h"

#include <string.h>

/* Text of the token for messages. */
static const char *tok_text(const struct parser *p, char *out, size_t size)
{
	switch (p->tok.kind) {
	case T_EOF: return "end of the script";
	case T_STR:
	case T_STR_SINGLE: snprintf(out, size, "\"%.*s\"", (int)(p->tok.text.n < 40 ? p->tok.text.n : 40), p->tok.text.s); break;
	default: snprintf(out, size, "'%.*s'", (int)(p->tok.text.n < 40 ? p->tok.text.n : 40), p->tok.text.s); break;
	}
	return out;
}

bool parser_expected(struct parser *p, const char *what)
{
	char text[64];

	if (!tok_is(p, T_ERROR))
		load_error(p->ld, p->tok.pos, "%s expected, not %s", what, tok_text(p, text, sizeof(text)));
	return false;
}

bool parser_take(struct parser *p, enum tok kind, const char *what)
{
	if (!tok_is(p, kind))
		return parser_expected(p, what);
	tok_advance(p);
	return true;
}

/* ---- nodes ---- */

struct node *parser_node_at(struct parser *p, enum node_kind kind, struct pos pos)
{
	static struct node spare; /* only to go on after memory ran out: the load fails */
	struct node *n = pool_zalloc(p->ld->pool, sizeof(*n));

	if (!n) {
		load_error(p->ld, pos, "out of memory");
		p->ld->stop = true;
		spare = (struct node){ .kind = kind };
		return &spare;
	}
	n->kind = kind;
	n->pos = pos;
	return n;
}

struct node *parser_node(struct parser *p, enum node_kind kind)
{
	return parser_node_at(p, kind, p->tok.pos);
}

struct node *parser_num_node(struct parser *p, struct pos pos, int64_t v)
{
	struct node *n = parser_node_at(p, N_NUM, pos);

	n->num = v;
	return n;
}

struct node *parser_str_node(struct parser *p, struct pos pos, struct str s)
{
	struct node *n = parser_node_at(p, N_STR, pos);

	n->text = s;
	return n;
}

void parser_arg_add(struct node *call, struct node *arg)
{
	struct node **at = &call->args;

	while (*at)
		at = &(*at)->next;
	*at = arg;
	call->n++;
}

/* ---- items ---- */

bool parser_host_says(struct parser *p, struct pos pos, int err, const struct diag *why)
{
	if (err < 0 && why->kind != DIAG_OTHER)
		load_unknown(p->ld, pos, why, "");
	else if (err < 0)
		load_error(p->ld, pos, "%s", why->text[0] ? why->text : strerror(-err));
	else if (err > 0)
		load_warning(p->ld, pos, "%s", why->text);
	return true; /* the text itself was in order */
}

static const char *const item_words[] = {
	"route", "request_route", "failure_route", "branch_route", "onsend_route", "onreply_route", "reply_route", "event_route",
	"loadmodule", "loadmodulex", "loadpath", "mpath", "modparam", "modparamx", "cfgengine", "flags", "bool", "avpflags",
};

bool parser_is_item_word(struct str w)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(item_words); i++)
		if (str_eq(w, str_lit(item_words[i])))
			return true;
	return false;
}
