/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both directions of binrpc on the server's side. Its doubles carry thousandths in an integer of at most seven bytes (an eighth
 * would set the bit that says "long"), so numbers that do not fit, negative ones among them, go as text. An array goes as an object
 * without names, since older clients know no arrays. The body is written first: its length stands before it.
 */
#include "core/rpc/binrpc.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "core/base/strbuf.h"
#include "core/rpc/rpc_priv.h"

/* ---- reading ---- */

ptrdiff_t rpc_bin_frame(struct str bytes)
{
	struct bin_head h;
	int err = bin_head_read(bytes, &h);

	if (err == -ENODATA)
		return 0;
	if (err < 0)
		return err;
	if (h.body_n > RPC_BIN_REQUEST_MAX)
		return -EMSGSIZE;
	return h.n + h.body_n <= bytes.n ? (ptrdiff_t)(h.n + h.body_n) : 0;
}

static int arg_of(const struct bin_record *r, struct rpc_arg *ret)
{
	uint64_t v;

	switch (r->type) {
	case BIN_INT:
		if (r->value.n > 4 || bin_number(r, &v) < 0)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_INT, .u.i = (int32_t)(uint32_t)v };
		return 0;
	case BIN_DOUBLE:
		if (bin_number(r, &v) < 0)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_DOUBLE, .u.d = (double)(int64_t)v / 1000.0 };
		return 0;
	case BIN_STR:
		if (r->value.n == 0 || r->value.s[r->value.n - 1] != 0)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_STR, .u.s = str_sub(r->value, 0, r->value.n - 1) };
		return 0;
	case BIN_BYTES:
		*ret = (struct rpc_arg){ .kind = RPC_STR, .u.s = r->value };
		return 0;
	case BIN_STRUCT:
	case BIN_ARRAY:
	case BIN_NAME:
		*ret = (struct rpc_arg){ .kind = RPC_ARRAY };
		return 0;
	default:
		return -EBADMSG;
	}
}

/* The parameters behind the name of the method, and their number. Texts stay where they are: body lives as long as the call. */
static const char *take_args(struct rpc *rpc, struct str body)
{
	struct rpc_arg *arg = rpc_alloc(rpc, RPC_ARGS_MAX * sizeof(*arg));

	if (!arg)
		return NULL; /* the call fails by itself */
	rpc->arg = arg;
	while (body.n > 0) {
		struct bin_record r;

		if (rpc->n_args == RPC_ARGS_MAX)
			return "too many parameters";
		if (bin_record_read(&body, &r) < 0 || arg_of(&r, &arg[rpc->n_args]) < 0)
			return "malformed record";
		rpc->n_args++;
	}
	return NULL;
}

static void run(struct rpc *rpc, struct str body)
{
	struct bin_record r;
	struct rpc_arg name;
	const char *why;

	if (bin_record_read(&body, &r) < 0 || r.type != BIN_STR || arg_of(&r, &name) < 0) {
		rpc_fault(rpc, 400, "bad request method: %s", body.n ? "malformed record" : "end of packet encountered");
		return;
	}
	why = take_args(rpc, body);
	if (why) {
		rpc_fault(rpc, 400, "bad request: %s", why);
		return;
	}
	rpc->method = rpc_find(name.u.s);
	if (rpc->method)
		rpc_call(rpc);
	else
		rpc_fault(rpc, 500, "command %.*s not found", name.u.s.n > 90 ? 90 : (int)name.u.s.n, name.u.s.s);
}

/* ---- writing ---- */

static void put_double(struct strbuf *out, double d)
{
	double thousandths = d * 1000.0;
	char text[64];

	if (thousandths >= 0 && thousandths < (double)(UINT64_C(1) << (8 * BIN_DOUBLE_BYTES)))
		bin_put_double(out, (uint64_t)thousandths);
	else
		bin_put_text(out, BIN_STR, str_of(text, (size_t)snprintf(text, sizeof(text), "%.15g", d)));
}

static void form_child(const struct rpc *rpc, const struct rpc_node *list, const struct rpc_node *n, bool first, unsigned depth,
		       struct strbuf *out)
{
	(void)rpc;
	(void)first;
	(void)depth;
	if (list->kind == RPC_OBJECT)
		bin_put_text(out, BIN_NAME, str_lit(n->name ? n->name : ""));
}

static void form_open(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	(void)rpc;
	(void)depth;
	if (!list->is_wrap)
		bin_put_mark(out, BIN_STRUCT, false);
}

static void form_close(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	(void)rpc;
	(void)depth;
	if (!list->is_wrap)
		bin_put_mark(out, BIN_STRUCT, true);
}

static void form_value(const struct rpc *rpc, const struct rpc_node *n, struct strbuf *out)
{
	(void)rpc;
	switch (n->kind) {
	case RPC_INT:
		if (n->u.i >= INT32_MIN && n->u.i <= UINT32_MAX)
			bin_put_int(out, (uint32_t)n->u.i);
		else
			put_double(out, (double)n->u.i); /* as clients know long numbers */
		break;
	case RPC_BOOL:
		bin_put_int(out, (uint32_t)n->u.i);
		break;
	case RPC_DOUBLE:
		put_double(out, n->u.d);
		break;
	case RPC_STR:
		bin_put_text(out, BIN_STR, n->u.s);
		break;
	default:
		bin_put_text(out, BIN_STR, STR_LIT("<null string>"));
		break;
	}
}

struct bin_call {
	struct bin_head head; /* of the request */
	size_t from;      /* where the reply's body begins in the caller's buffer */
};

/* Puts the head before the body that was written. */
static void seal(const struct bin_call *c, enum bin_packet type, struct strbuf *out)
{
	char head[BIN_HEAD_MAX];
	struct strbuf sb;
	size_t body_n = out->n - c->from;

	strbuf_init_fixed(&sb, head, sizeof(head));
	bin_put_head(&sb, type, body_n, c->head.cookie, c->head.cookie_n);
	strbuf_add(out, strbuf_str(&sb)); /* makes room */
	if (strbuf_err(out) < 0)
		return;
	memmove(out->p + c->from + sb.n, out->p + c->from, body_n);
	memcpy(out->p + c->from, head, sb.n);
}

static void form_begin(struct rpc *rpc, struct strbuf *out)
{
	struct bin_call *c = rpc->form_data;

	c->from = out->n;
}

static void form_end(struct rpc *rpc, struct strbuf *out)
{
	seal(rpc->form_data, BIN_REPLY, out);
}

static void form_fault(struct rpc *rpc, int code, const char *text, struct strbuf *out)
{
	form_begin(rpc, out);
	bin_put_int(out, (uint32_t)code);
	bin_put_text(out, BIN_STR, str_lit(text));
	seal(rpc->form_data, BIN_FAULT, out);
}

static const struct rpc_form bin_form = {
	.begin = form_begin,
	.child = form_child,
	.open = form_open,
	.close = form_close,
	.value = form_value,
	.end = form_end,
	.fault = form_fault,
	.strict = true,
	.top_is_bare = true,
};

int rpc_bin_run(struct str packet, bool convert, struct rpc_out *out)
{
	struct bin_head h;
	struct bin_call *c;
	struct rpc *rpc;
	struct str body;

	if (bin_head_read(packet, &h) < 0 || h.type != BIN_REQUEST || h.body_n != packet.n - h.n)
		return -EBADMSG;
	rpc = rpc_new(&bin_form);
	c = rpc ? rpc_alloc(rpc, sizeof(*c)) : NULL;
	body = rpc ? str_dup(rpc->pool, str_sub(packet, h.n, packet.n)) : STR_NULL;
	if (!c || !body.s) {
		rpc_free(rpc);
		return -ENOMEM;
	}
	c->head = h;
	rpc->form_data = c;
	rpc->convert = convert;
	rpc->later = out->later;
	rpc->later_arg = out->later_arg;
	run(rpc, body);
	return rpc_finish(rpc, out);
}
