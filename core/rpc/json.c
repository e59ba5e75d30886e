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

#define CALL_BYTES_MAX ((size_t)256 << 20)

/* ---- writing ---- */

void rpc_emit_str(struct strbuf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	strbuf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.s[i];
		char esc[6] = { '\\', 0, '0', '0', 0, 0 };
		size_t n = 2;

		if (c >= 32 && c != '"' && c != '\\')
			continue;
		strbuf_add(out, str_of(s.s + from, i - from));
		from = i + 1;
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

void rpc_emit_double(struct strbuf *out, double d)
{
	if (!isfinite(d))
		strbuf_add_lit(out, "null");
	else if (d >= INT32_MIN && d <= INT32_MAX && floor(d) == d)
		strbuf_add_i64(out, (int64_t)d);
	else if (fabs(d) < 1e60 && floor(d) == d)
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
	rpc_emit_str(out, str_lit(name));
	strbuf_add_lit(out, pretty ? ":\t" : ":");
}

static void emit_node(const struct rpc_node *n, struct strbuf *out, bool pretty, unsigned depth);

/* depth: of the bracket's own line. */
static void emit_list(const struct rpc_node *first, bool object, struct strbuf *out, bool pretty, unsigned depth)
{
	strbuf_add_char(out, object ? '{' : '[');
	for (const struct rpc_node *n = first; n; n = n->next) {
		if (n != first)
			strbuf_add_char(out, ',');
		newline(out, pretty, depth + 1);
		if (object)
			member(out, n->name ? n->name : "", pretty);
		emit_node(n, out, pretty, depth + 1);
	}
	newline(out, pretty, depth);
	strbuf_add_char(out, object ? '}' : ']');
}

static void emit_node(const struct rpc_node *n, struct strbuf *out, bool pretty, unsigned depth)
{
	switch (n->kind) {
	case RPC_NULL:
		strbuf_add_lit(out, "null");
		break;
	case RPC_BOOL:
		strbuf_add_lit(out, n->u.i ? "true" : "false");
		break;
	case RPC_INT:
		rpc_emit_double(out, (double)n->u.i);
		break;
	case RPC_DOUBLE:
		rpc_emit_double(out, n->u.d);
		break;
	case RPC_STR:
		rpc_emit_str(out, n->u.s);
		break;
	case RPC_ARRAY:
	case RPC_OBJECT:
		emit_list(n->u.list.first, n->kind == RPC_OBJECT, out, pretty, depth);
		break;
	}
}

void rpc_emit_result(const struct rpc *rpc, const struct rpc_method *method, struct strbuf *out, bool pretty, unsigned depth)
{
	if (method && method->flags & RPC_RET_ARRAY)
		emit_list(rpc->first, false, out, pretty, depth);
	else if (rpc->last)
		emit_node(rpc->last, out, pretty, depth);
	else
		emit_list(NULL, true, out, pretty, depth);
}

/* ---- running ---- */

static const json_t *find_icase(const json_t *obj, const char *name)
{
	void *it;

	for (it = json_object_iter((json_t *)(uintptr_t)obj); it; it = json_object_iter_next((json_t *)(uintptr_t)obj, it))
		if (str_ieq(str_lit(json_object_iter_key(it)), str_lit(name)))
			return json_object_iter_value(it);
	return NULL;
}

/* Values of an array, or of an object in its order. False: neither. */
static bool take_params(struct rpc *rpc, const json_t *params)
{
	if (!params)
		return true;
	if (json_is_array(params)) {
		for (size_t i = 0; i < json_array_size(params) && rpc->n_args < RPC_ARGS_MAX; i++)
			rpc->arg[rpc->n_args++] = (const struct json_t *)json_array_get(params, i);
		return true;
	}
	if (!json_is_object(params))
		return false;
	for (void *it = json_object_iter((json_t *)(uintptr_t)params); it && rpc->n_args < RPC_ARGS_MAX;
	     it = json_object_iter_next((json_t *)(uintptr_t)params, it))
		rpc->arg[rpc->n_args++] = (const struct json_t *)json_object_iter_value(it);
	return true;
}

static void emit_id(struct strbuf *out, const json_t *id, bool pretty)
{
	if (id) {
		strbuf_add_char(out, ',');
		newline(out, pretty, 1);
		member(out, "id", pretty);
		if (json_is_string(id))
			rpc_emit_str(out, str_of(json_string_value(id), json_string_length(id)));
		else
			rpc_emit_double(out, json_is_number(id) ? json_number_value(id) : json_is_true(id));
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

static void emit_error(struct strbuf *out, int code, const char *text, const json_t *id, bool pretty)
{
	emit_head(out, "error", pretty);
	strbuf_add_char(out, '{');
	newline(out, pretty, 2);
	member(out, "code", pretty);
	strbuf_add_i64(out, code);
	strbuf_add_char(out, ',');
	newline(out, pretty, 2);
	member(out, "message", pretty);
	rpc_emit_str(out, str_lit(text));
	newline(out, pretty, 1);
	strbuf_add_char(out, '}');
	emit_id(out, id, pretty);
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

static void emit_reply(const struct rpc *rpc, const json_t *id, bool pretty, struct rpc_json_out *ret)
{
	const char *text = rpc->fault_text;
	int code = rpc->fault_code ? rpc->fault_code : -32000;

	if (!rpc->has_fault) {
		emit_head(ret->reply, "result", pretty);
		rpc_emit_result(rpc, rpc->method, ret->reply, pretty, 1);
		emit_id(ret->reply, id, pretty);
		return;
	}
	if (standard_text(code))
		text = standard_text(code);
	emit_error(ret->reply, code, text, id, pretty);
	ret->fault_code = code;
	(void)snprintf(ret->fault_text, sizeof(ret->fault_text), "%s", text);
}

/* Runs what the request names. Whatever is wrong with its form gives an empty result, as clients know it. */
static void run(struct rpc *rpc, const json_t *req)
{
	const json_t *version = find_icase(req, "jsonrpc"), *method = find_icase(req, "method");
	bool params_ok = take_params(rpc, find_icase(req, "params"));

	if (!json_is_string(version) || !str_eq(str_lit(json_string_value(version)), STR_LIT("2.0")) || !json_is_string(method)) {
		log_error("rpc: request without \"jsonrpc\":\"2.0\" or \"method\"");
		return;
	}
	rpc->method = rpc_find(str_of(json_string_value(method), json_string_length(method)));
	if (!rpc->method) {
		rpc_fault(rpc, 500, "Method Not Found");
		return;
	}
	if (!params_ok) {
		log_error("rpc: params of %s are neither array nor object", rpc->method->name);
		return;
	}
	rpc_call(rpc);
}

static int store(const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;

	while (err == 0 && text.n) {
		ssize_t n = write(fd, text.s, text.n);

		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n > 0)
			text = str_sub(text, (size_t)n, text.n);
	}
	if (fd >= 0 && close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

/* The reply goes to a file, and a short one to the client. */
static void store_reply(const char *path, const json_t *id, bool pretty, struct rpc_json_out *ret)
{
	int err = strbuf_err(ret->reply) < 0 ? -EMSGSIZE : store(path, strbuf_str(ret->reply));

	ret->reply->n = 0;
	ret->reply->failed = false;
	if (err < 0) {
		log_fail(err, "rpc: cannot store a reply in %s", path);
		emit_error(ret->reply, 500, "Storing failed", id, pretty);
		ret->fault_code = 500;
		return;
	}
	emit_head(ret->reply, "result", pretty);
	strbuf_add_lit(ret->reply, "\"Stored\"");
	emit_id(ret->reply, id, pretty);
}

/* ---- delayed answers ---- */

#define DEFERRED_MAX 256u

static unsigned n_deferred;

bool rpc_defer(struct rpc *rpc)
{
	if (!rpc->later || n_deferred >= DEFERRED_MAX)
		return false;
	rpc->deferred = true;
	n_deferred++;
	return true;
}

void rpc_answer(struct rpc *rpc)
{
	struct pool *pool = rpc->pool;
	struct strbuf sb;
	struct rpc_json_out out = { .reply = &sb };

	n_deferred--;
	rpc->deferred = false;
	if (rpc->in_call)
		return; /* answered before it returned: then it is an answer like any other */
	if (rpc->no_memory)
		rpc_fault(rpc, 500, "The answer is too large");
	strbuf_init(&sb, CALL_BYTES_MAX);
	emit_reply(rpc, find_icase(rpc->req, "id"), rpc->pretty, &out);
	rpc->later(rpc->later_arg, &out);
	strbuf_done(&sb);
	json_decref(rpc->req);
	pool_free(pool);
}

int rpc_json_run(struct str request, bool pretty, struct rpc_json_out *ret_out)
{
	struct pool *pool = pool_new(CALL_BYTES_MAX);
	struct rpc *rpc = pool ? pool_zalloc(pool, sizeof(*rpc)) : NULL;
	json_t *req = NULL;
	const json_t *id, *name, *path;
	int err = -ENOMEM;

	ret_out->reply_name[0] = 0;
	ret_out->fault_code = 0;
	ret_out->fault_text[0] = 0;
	if (!rpc)
		goto out;
	req = json_loadb(request.s, request.n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
	err = -EBADMSG;
	if (!req)
		goto out;
	rpc->pool = pool;
	id = find_icase(req, "id");
	name = find_icase(req, "reply_name");
	path = find_icase(req, "store_path");
	if (json_is_string(name) && json_string_length(name) < sizeof(ret_out->reply_name))
		memcpy(ret_out->reply_name, json_string_value(name), json_string_length(name) + 1);
	rpc->later = json_is_string(path) ? NULL : ret_out->later;
	rpc->later_arg = ret_out->later_arg;
	rpc->pretty = pretty;
	rpc->req = req;
	rpc->in_call = true;
	run(rpc, req);
	rpc->in_call = false;
	if (rpc->deferred)
		return -EINPROGRESS;
	emit_reply(rpc, id, pretty, ret_out);
	if (!ret_out->no_store && json_is_string(path) && json_string_length(path) > 0 && json_string_length(path) < 128)
		store_reply(json_string_value(path), id, pretty, ret_out);
	err = strbuf_err(ret_out->reply);
	if (err < 0) {
		ret_out->reply->n = 0;
		ret_out->reply->failed = false;
		emit_error(ret_out->reply, 500, "The answer is too large", id, pretty);
		ret_out->fault_code = 500;
		err = strbuf_err(ret_out->reply);
	}
out:
	json_decref(req);
	pool_free(pool);
	return err;
}
