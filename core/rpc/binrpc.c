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

#define MAGIC_VERSION 0xA1u
#define REC_LONG 0x80u
#define DOUBLE_BYTES 7u

enum packet { PACKET_REQUEST = 0, PACKET_REPLY = 1, PACKET_FAULT = 3 };
enum record { REC_INT = 0, REC_STR = 1, REC_DOUBLE = 2, REC_STRUCT = 3, REC_ARRAY = 4, REC_NAME = 5, REC_BYTES = 6 };

/* ---- reading ---- */

struct head {
	unsigned type, cookie_n;
	uint64_t body_n;
	unsigned char cookie[4];
	size_t n; /* bytes of the head */
};

static uint64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* Returns 0; -ENODATA: more bytes are needed; -EBADMSG. */
static int head_read(struct str bytes, struct head *ret)
{
	const unsigned char *p = (const unsigned char *)bytes.s;
	struct head h = { 0 };
	unsigned len_n;

	if (bytes.n > 0 && p[0] != MAGIC_VERSION)
		return -EBADMSG;
	if (bytes.n < 2)
		return -ENODATA;
	h.type = p[1] >> 4;
	len_n = (p[1] >> 2 & 3) + 1;
	h.cookie_n = (p[1] & 3) + 1;
	h.n = 2 + len_n + h.cookie_n;
	if (bytes.n < h.n)
		return -ENODATA;
	h.body_n = big_endian(p + 2, len_n);
	memcpy(h.cookie, p + 2 + len_n, h.cookie_n);
	*ret = h;
	return 0;
}

ptrdiff_t rpc_bin_frame(struct str bytes)
{
	struct head h;
	int err = head_read(bytes, &h);

	if (err == -ENODATA)
		return 0;
	if (err < 0)
		return err;
	if (h.body_n > RPC_BIN_REQUEST_MAX)
		return -EMSGSIZE;
	return h.n + h.body_n <= bytes.n ? (ptrdiff_t)(h.n + h.body_n) : 0;
}

struct record_view {
	unsigned type;
	bool is_long;
	struct str value;
};

static int record_read(struct str *rest, struct record_view *ret)
{
	const unsigned char *p = (const unsigned char *)rest->s;
	size_t head = 1;
	uint64_t n;

	if (rest->n == 0)
		return -ENODATA;
	*ret = (struct record_view){ .type = p[0] & 15, .is_long = p[0] & REC_LONG };
	n = p[0] >> 4 & 7;
	if (ret->type == REC_STRUCT || ret->type == REC_ARRAY) {
		n = 0; /* a mark, not a value */
	} else if (ret->is_long) {
		head += n;
		if (n > 4 || head > rest->n)
			return -EBADMSG;
		n = big_endian(p + 1, n);
	}
	if (n > rest->n - head)
		return -EBADMSG;
	ret->value = str_sub(*rest, head, n);
	*rest = str_sub(*rest, head + n, rest->n);
	return 0;
}

static int arg_of(const struct record_view *r, struct rpc_arg *ret)
{
	const unsigned char *p = (const unsigned char *)r->value.s;

	switch (r->type) {
	case REC_INT:
		if (r->value.n > 4)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_INT, .u.i = (int32_t)(uint32_t)big_endian(p, r->value.n) };
		return 0;
	case REC_DOUBLE:
		if (r->value.n > 8)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_DOUBLE, .u.d = (double)(int64_t)big_endian(p, r->value.n) / 1000.0 };
		return 0;
	case REC_STR:
		if (r->value.n == 0 || p[r->value.n - 1] != 0)
			return -EBADMSG;
		*ret = (struct rpc_arg){ .kind = RPC_STR, .u.s = str_sub(r->value, 0, r->value.n - 1) };
		return 0;
	case REC_BYTES:
		*ret = (struct rpc_arg){ .kind = RPC_STR, .u.s = r->value };
		return 0;
	case REC_STRUCT:
	case REC_ARRAY:
	case REC_NAME:
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
		struct record_view r;

		if (rpc->n_args == RPC_ARGS_MAX)
			return "too many parameters";
		if (record_read(&body, &r) < 0 || arg_of(&r, &arg[rpc->n_args]) < 0)
			return "malformed record";
		rpc->n_args++;
	}
	return NULL;
}

static void run(struct rpc *rpc, struct str body)
{
	struct record_view r;
	struct rpc_arg name;
	const char *why;

	if (record_read(&body, &r) < 0 || r.type != REC_STR || arg_of(&r, &name) < 0) {
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

/* Bytes that a number needs, at most max. */
static unsigned width(uint64_t v, unsigned max)
{
	unsigned n = 0;

	while (n < max && v >> (8 * n))
		n++;
	return n;
}

static void put_number(struct strbuf *out, uint64_t v, unsigned n)
{
	while (n-- > 0)
		strbuf_add_char(out, (char)(v >> (8 * n) & 255));
}

static void put_int(struct strbuf *out, int64_t v)
{
	uint32_t bits = (uint32_t)(int32_t)v;
	unsigned n = width(bits, 4);

	strbuf_add_char(out, (char)(n << 4 | REC_INT));
	put_number(out, bits, n);
}

static void put_text(struct strbuf *out, enum record type, struct str s)
{
	uint64_t n = s.n + 1;

	if (n < 8) {
		strbuf_add_char(out, (char)(n << 4 | (unsigned)type));
	} else {
		unsigned len_n = width(n, 7);

		strbuf_add_char(out, (char)(REC_LONG | len_n << 4 | (unsigned)type));
		put_number(out, n, len_n);
	}
	strbuf_add(out, s);
	strbuf_add_char(out, '\0');
}

static void put_double(struct strbuf *out, double d)
{
	double thousandths = d * 1000.0;
	char text[64];

	if (thousandths >= 0 && thousandths < (double)(UINT64_C(1) << (8 * DOUBLE_BYTES))) {
		unsigned n = width((uint64_t)thousandths, DOUBLE_BYTES);

		strbuf_add_char(out, (char)(n << 4 | REC_DOUBLE));
		put_number(out, (uint64_t)thousandths, n);
		return;
	}
	put_text(out, REC_STR, str_of(text, (size_t)snprintf(text, sizeof(text), "%.15g", d)));
}

static void form_child(const struct rpc *rpc, const struct rpc_node *list, const struct rpc_node *n, bool first, unsigned depth,
		       struct strbuf *out)
{
	(void)rpc;
	(void)first;
	(void)depth;
	if (list->kind == RPC_OBJECT)
		put_text(out, REC_NAME, str_lit(n->name ? n->name : ""));
}

static void form_open(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	(void)rpc;
	(void)depth;
	if (!list->is_wrap)
		strbuf_add_char(out, REC_STRUCT);
}

static void form_close(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	(void)rpc;
	(void)depth;
	if (!list->is_wrap)
		strbuf_add_char(out, (char)(REC_LONG | REC_STRUCT));
}

static void form_value(const struct rpc *rpc, const struct rpc_node *n, struct strbuf *out)
{
	(void)rpc;
	switch (n->kind) {
	case RPC_INT:
		if (n->u.i >= INT32_MIN && n->u.i <= UINT32_MAX)
			put_int(out, n->u.i);
		else
			put_double(out, (double)n->u.i); /* as clients know long numbers */
		break;
	case RPC_BOOL:
		put_int(out, n->u.i);
		break;
	case RPC_DOUBLE:
		put_double(out, n->u.d);
		break;
	case RPC_STR:
		put_text(out, REC_STR, n->u.s);
		break;
	default:
		put_text(out, REC_STR, STR_LIT("<null string>"));
		break;
	}
}

struct bin_call {
	struct head head; /* of the request */
	size_t from;      /* where the reply's body begins in the caller's buffer */
};

/* Puts the head before the body that was written. */
static void seal(const struct bin_call *c, enum packet type, struct strbuf *out)
{
	char head[RPC_BIN_HEAD_MAX];
	struct strbuf sb;
	size_t body_n = out->n - c->from;
	unsigned len_n = body_n ? width(body_n, 4) : 1;

	strbuf_init_fixed(&sb, head, sizeof(head));
	strbuf_add_char(&sb, (char)MAGIC_VERSION);
	strbuf_add_char(&sb, (char)((unsigned)type << 4 | (len_n - 1) << 2 | (c->head.cookie_n - 1)));
	put_number(&sb, body_n, len_n);
	strbuf_add(&sb, str_of((const char *)c->head.cookie, c->head.cookie_n));
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
	seal(rpc->form_data, PACKET_REPLY, out);
}

static void form_fault(struct rpc *rpc, int code, const char *text, struct strbuf *out)
{
	form_begin(rpc, out);
	put_int(out, code);
	put_text(out, REC_STR, str_lit(text));
	seal(rpc->form_data, PACKET_FAULT, out);
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
	struct head h;
	struct bin_call *c;
	struct rpc *rpc;
	struct str body;

	if (head_read(packet, &h) < 0 || h.type != PACKET_REQUEST || h.body_n != packet.n - h.n)
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
