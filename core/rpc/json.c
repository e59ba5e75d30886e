/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON-RPC 2.0 as the operators' tools speak it: scripts grep the indented reply line by line, so its white space is part of
 * the interface (newline behind each bracket, one tab per level, "name":<tab>value). Requests are parsed by jansson;
 * replies are written by hand, since members may repeat and order counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/rpc/rpc_priv.h"

#define STORE_STEP ((size_t)256 << 10)

/* ---- writing ---- */

/* Bytes of the UTF-8 character at p; 0: it is none (RFC 3629, 4). */
static size_t utf8_len(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n = u[0] >= 0xc2 && u[0] <= 0xdf ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4 : 0;

	if (n == 0 || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* longer than needed, the surrogates, over U+10FFFF */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] >= 0xa0) || (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] >= 0x90))
		return 0;
	return n;
}

/* Texts come from the network: what is no UTF-8 in them must not make a reply that no client can read. */
static void emit_str(struct strbuf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	strbuf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.s[i];
		char esc[6] = { '\\', 0, '0', '0', 0, 0 };
		size_t n = 2;

		if (c >= 32 && c < 128 && c != '"' && c != '\\')
			continue;
		if (c >= 128 && (n = utf8_len(s.s + i, s.s + s.n)) > 0) {
			i += n - 1;
			continue;
		}
		strbuf_add(out, str_of(s.s + from, i - from));
		from = i + 1;
		if (c >= 128) {
			strbuf_add_lit(out, "\\ufffd");
			continue;
		}
		switch (c) {
		case '"':
		case '\\':
			esc[1] = (char)c;
			break;
		case '\b':
			esc[1] = 'b';
			break;
		case '\f':
			esc[1] = 'f';
			break;
		case '\n':
			esc[1] = 'n';
			break;
		case '\r':
			esc[1] = 'r';
			break;
		case '\t':
			esc[1] = 't';
			break;
		default:
			esc[1] = 'u';
			esc[4] = hex[c >> 4];
			esc[5] = hex[c & 15];
			n = 6;
			break;
		}
		strbuf_add(out, str_of(esc, n));
	}
	if (s.n > from)
		strbuf_add(out, str_of(s.s + from, s.n - from));
	strbuf_add_char(out, '"');
}

/* Whole numbers without a point as long as readers take them for 64-bit integers: many refuse longer ones. */
static void emit_double(struct strbuf *out, double d)
{
	if (!isfinite(d))
		strbuf_add_lit(out, "null");
	else if (d >= INT32_MIN && d <= INT32_MAX && floor(d) == d)
		strbuf_add_i64(out, (int64_t)d);
	else if (fabs(d) < 0x1p63 && floor(d) == d)
		strbuf_printf(out, "%.0f", d);
	else if (fabs(d) < 1e-6 || fabs(d) > 1e9)
		strbuf_printf(out, "%e", d);
	else
		strbuf_printf(out, "%f", d);
}

static void newline(struct strbuf *out, bool pretty, unsigned depth)
{
	if (!pretty)
		return;
	strbuf_add_char(out, '\n');
	while (depth-- > 0)
		strbuf_add_char(out, '\t');
}

static void member(struct strbuf *out, const char *name, bool pretty)
{
	emit_str(out, str_lit(name));
	strbuf_add_lit(out, pretty ? ":\t" : ":");
}

/* What the form keeps of a request. */
struct json_call {
	json_t *req;
	const json_t *id;
};

static void emit_id(struct strbuf *out, const json_t *id, bool pretty)
{
	if (id) {
		strbuf_add_char(out, ',');
		newline(out, pretty, 1);
		member(out, "id", pretty);
		if (json_is_string(id))
			emit_str(out, str_of(json_string_value(id), json_string_length(id)));
		else if (json_is_integer(id))
			strbuf_add_i64(out, json_integer_value(id));
		else
			emit_double(out, json_is_number(id) ? json_number_value(id) : json_is_true(id));
	}
	newline(out, pretty, 0);
	strbuf_add_char(out, '}');
}

static void emit_head(struct strbuf *out, const char *what, bool pretty)
{
	strbuf_add_char(out, '{');
	newline(out, pretty, 1);
	member(out, "jsonrpc", pretty);
	strbuf_add_lit(out, "\"2.0\",");
	newline(out, pretty, 1);
	member(out, what, pretty);
}

static void form_begin(struct rpc *rpc, struct strbuf *out)
{
	emit_head(out, "result", rpc->pretty);
}

/* The result's own brackets stand one level in. */
static void form_child(const struct rpc *rpc, const struct rpc_node *list, const struct rpc_node *n, bool first, unsigned depth,
		       struct strbuf *out)
{
	if (!first)
		strbuf_add_char(out, ',');
	newline(out, rpc->pretty, depth + 2);
	if (list->kind == RPC_OBJECT)
		member(out, n->name ? n->name : "", rpc->pretty);
}

static void form_open(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	(void)rpc;
	(void)depth;
	strbuf_add_char(out, list->kind == RPC_OBJECT ? '{' : '[');
}

static void form_close(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out)
{
	newline(out, rpc->pretty, depth + 1);
	strbuf_add_char(out, list->kind == RPC_OBJECT ? '}' : ']');
}

static void form_value(const struct rpc *rpc, const struct rpc_node *n, struct strbuf *out)
{
	(void)rpc;
	switch (n->kind) {
	case RPC_BOOL:
		strbuf_add_lit(out, n->u.i ? "true" : "false");
		break;
	case RPC_INT:
		strbuf_add_i64(out, n->u.i);
		break;
	case RPC_DOUBLE:
		emit_double(out, n->u.d);
		break;
	case RPC_STR:
		emit_str(out, n->u.s);
		break;
	default:
		strbuf_add_lit(out, "null");
		break;
	}
}

static void form_end(struct rpc *rpc, struct strbuf *out)
{
	const struct json_call *c = rpc->form_data;

	emit_id(out, c->id, rpc->pretty);
}

/* Codes of JSON-RPC itself have their own texts. */
static const char *standard_text(int code)
{
	switch (code) {
	case -32700:
		return "Parse Error";
	case -32600:
		return "Invalid Request";
	case -32601:
		return "Method Not Found";
	case -32602:
		return "Invalid Parameters";
	case -32603:
		return "Internal Error";
	case -32000:
		return "Execution Error";
	default:
		return NULL;
	}
}

static void form_fault(struct rpc *rpc, int code, const char *text, struct strbuf *out)
{
	const struct json_call *c = rpc->form_data;

	if (code == 0)
		code = -32000;
	if (standard_text(code)) {
		text = standard_text(code);
		rpc_fault(rpc, code, "%s", text); /* as the transport is to know it */
	}
	rpc->fault_code = code;
	emit_head(out, "error", rpc->pretty);
	strbuf_add_char(out, '{');
	newline(out, rpc->pretty, 2);
	member(out, "code", rpc->pretty);
	strbuf_add_i64(out, code);
	strbuf_add_char(out, ',');
	newline(out, rpc->pretty, 2);
	member(out, "message", rpc->pretty);
	emit_str(out, str_lit(text));
	newline(out, rpc->pretty, 1);
	strbuf_add_char(out, '}');
	emit_id(out, c->id, rpc->pretty);
}

static void form_done(struct rpc *rpc)
{
	struct json_call *c = rpc->form_data;

	if (c)
		json_decref(c->req);
}

static const struct rpc_form json_form = {
	.begin = form_begin,
	.child = form_child,
	.open = form_open,
	.close = form_close,
	.value = form_value,
	.end = form_end,
	.fault = form_fault,
	.done = form_done,
};

/* ---- running ---- */

static const json_t *find_icase(const json_t *obj, const char *name)
{
	void *it;

	for (it = json_object_iter((json_t *)(uintptr_t)obj); it; it = json_object_iter_next((json_t *)(uintptr_t)obj, it))
		if (str_ieq(str_lit(json_object_iter_key(it)), str_lit(name)))
			return json_object_iter_value(it);
	return NULL;
}

static struct rpc_arg arg_of(const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_STRING:
		return (struct rpc_arg){ .kind = RPC_STR, .u.s = str_of(json_string_value(j), json_string_length(j)) };
	case JSON_INTEGER:
		return (struct rpc_arg){ .kind = RPC_INT, .u.i = json_integer_value(j) };
	case JSON_REAL:
		return (struct rpc_arg){ .kind = RPC_DOUBLE, .u.d = json_real_value(j) };
	case JSON_TRUE:
	case JSON_FALSE:
		return (struct rpc_arg){ .kind = RPC_BOOL, .u.i = json_is_true(j) };
	case JSON_NULL:
		return (struct rpc_arg){ .kind = RPC_NULL };
	default:
		return (struct rpc_arg){ .kind = RPC_ARRAY };
	}
}

/* Values of an array, or of an object in its order. -EINVAL: neither. */
static int take_params(struct rpc *rpc, json_t *params)
{
	size_t n = json_is_array(params) ? json_array_size(params) : json_object_size(params);
	struct rpc_arg *arg;

	if (!params)
		return 0;
	if (!json_is_array(params) && !json_is_object(params))
		return -EINVAL;
	if (n > RPC_ARGS_MAX)
		n = RPC_ARGS_MAX;
	arg = rpc_alloc(rpc, n * sizeof(*arg) + 1);
	if (!arg)
		return -ENOMEM;
	rpc->arg = arg;
	if (json_is_array(params)) {
		while (rpc->n_args < n) {
			arg[rpc->n_args] = arg_of(json_array_get(params, rpc->n_args));
			rpc->n_args++;
		}
		return 0;
	}
	for (void *it = json_object_iter(params); it && rpc->n_args < n; it = json_object_iter_next(params, it))
		arg[rpc->n_args++] = arg_of(json_object_iter_value(it));
	return 0;
}

/* Runs what the request names. Whatever is wrong with its form gives an empty result, as clients know it. */
static void run(struct rpc *rpc, json_t *req)
{
	const json_t *version = find_icase(req, "jsonrpc"), *method = find_icase(req, "method");
	int err = take_params(rpc, (json_t *)(uintptr_t)find_icase(req, "params"));

	if (!json_is_string(version) || !str_eq(str_lit(json_string_value(version)), STR_LIT("2.0")) || !json_is_string(method)) {
		log_error("rpc: request without \"jsonrpc\":\"2.0\" or \"method\"");
		return;
	}
	rpc->method = rpc_find(str_of(json_string_value(method), json_string_length(method)));
	if (!rpc->method)
		rpc_fault(rpc, 500, "Method Not Found");
	else if (err < 0)
		log_error("rpc: params of %s are neither array nor object", rpc->method->name);
	else
		rpc_call(rpc);
}

/* ---- store_path ---- */

static int write_all(int fd, struct str text)
{
	while (text.n) {
		ssize_t n = write(fd, text.s, text.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = str_sub(text, (size_t)n, text.n);
	}
	return 0;
}

/* A FIFO that nobody reads is an error, not something to wait for: all other clients would wait too. */
static int store(struct rpc *rpc, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600), more = 1;
	int err = fd < 0 ? -errno : 0;
	struct strbuf sb;

	strbuf_init(&sb, RPC_CALL_BYTES_MAX);
	while (err == 0 && more > 0) {
		sb.n = 0;
		more = rpc_read(rpc, &sb, STORE_STEP);
		err = more < 0 ? more : write_all(fd, strbuf_str(&sb));
	}
	strbuf_done(&sb);
	if (fd >= 0 && close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

/* The reply goes to a file, and a short one, which takes its place, to the client. */
static struct rpc *store_reply(struct rpc *rpc, const char *path)
{
	struct rpc *told = rpc_new(&json_form);
	struct json_call *c = told ? rpc_alloc(told, sizeof(*c)) : NULL;
	int err = store(rpc, path);

	if (c) {
		*c = *(const struct json_call *)rpc->form_data;
		c->req = json_incref(c->req);
		told->form_data = c;
		told->pretty = rpc->pretty;
		if (err < 0)
			rpc_fault(told, 500, "Storing failed");
		else
			rpc_add_str(told, NULL, NULL, STR_LIT("Stored"));
	}
	if (err < 0)
		log_fail(err, "rpc: cannot store a reply in %s", path);
	rpc_free(rpc);
	if (!c) {
		rpc_free(told);
		return NULL;
	}
	return told;
}

int rpc_json_run(struct str request, bool pretty, struct rpc_out *out)
{
	json_t *req = json_loadb(request.s, request.n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
	struct rpc *rpc = req ? rpc_new(&json_form) : NULL;
	struct json_call *c = rpc ? rpc_alloc(rpc, sizeof(*c)) : NULL;
	const json_t *name, *path;

	out->reply_name[0] = 0;
	out->fault_code = 0;
	out->fault_text[0] = 0;
	out->call = NULL;
	if (!c) {
		rpc_free(rpc);
		json_decref(req);
		return req ? -ENOMEM : -EBADMSG;
	}
	*c = (struct json_call){ .req = req, .id = find_icase(req, "id") };
	rpc->form_data = c;
	name = find_icase(req, "reply_name");
	path = find_icase(req, "store_path");
	if (out->no_store || !json_is_string(path) || json_string_length(path) == 0 || json_string_length(path) >= 128)
		path = NULL;
	if (json_is_string(name) && json_string_length(name) < sizeof(out->reply_name))
		memcpy(out->reply_name, json_string_value(name), json_string_length(name) + 1);
	rpc->later = path ? NULL : out->later;
	rpc->later_arg = out->later_arg;
	rpc->pretty = pretty;
	run(rpc, req);
	if (path)
		rpc = store_reply(rpc, json_string_value(path));
	return rpc ? rpc_finish(rpc, out) : -ENOMEM;
}
