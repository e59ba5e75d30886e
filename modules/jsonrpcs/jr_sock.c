/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams (Unix and UDP): one document each, answered to where it came from. Streams (TCP, and a Unix one beside each Unix datagram
 * socket, for answers longer than a datagram): one document, one answer, closed.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/log.h"
#include "modules/jsonrpcs/jr_priv.h"

#define DGRAM_PORT_MIN 1024u

/* "store_path" is for who can reach this machine's files: over IP the client gets its answer itself, and no file is written. */
static int run(struct str doc, struct rpc_out *out)
{
	const struct rpc_sock *sock = rpc_serving_now();

	out->no_store = sock && (sock->kind == RPC_TCP || sock->kind == RPC_UDP);
	return rpc_json_run(doc, jr_conf.pretty_format != 0, out);
}

ptrdiff_t jr_doc_end(struct str buf, struct rpc_scan *scan)
{
	if (scan->at == 0) {
		while (scan->from < buf.n && buf.s[scan->from] != '{')
			scan->from++;
		if (scan->from == buf.n)
			return 0;
		scan->at = scan->from;
	}
	for (; scan->at < buf.n; scan->at++) {
		char c = buf.s[scan->at];

		if (scan->quote) {
			if (c == '\\' && scan->at + 1 == buf.n)
				return 0; /* what it escapes is not here yet */
			if (c == '\\')
				scan->at++;
			else if (c == scan->quote)
				scan->quote = 0;
		} else if (c == '"' || c == '\'') {
			scan->quote = c;
		} else if (c == '{') {
			scan->depth++;
		} else if (c == '}' && --scan->depth == 0) {
			return (ptrdiff_t)(scan->at + 1 - scan->from);
		}
	}
	return 0;
}

static struct rpc_sock dgram, stream, tcp;

static int dgram_parse(void)
{
	struct str text = jr_conf.dgram_socket;

	if (!str_istarts(text, STR_LIT("udp:"))) {
		dgram.kind = RPC_UNIX_DGRAM;
		if (rpc_path(text, dgram.path) < 0)
			return log_fail(-ENAMETOOLONG, "jsonrpcs: dgram_socket \"%.*s\"", STR_FMT(text));
		return 0;
	}
	dgram.kind = RPC_UDP;
	if (rpc_hostport_parse(str_sub(text, 4, text.n), 0, &dgram.addr) < 0 || dgram.addr.port < DGRAM_PORT_MIN) {
		log_error("jsonrpcs: dgram_socket \"%.*s\": udp:address:port expected, port %u to 65535", STR_FMT(text), DGRAM_PORT_MIN);
		return -EINVAL;
	}
	return 0;
}

/* Beside the datagram socket unless named. "": none, as with UDP datagrams. */
static int stream_parse(void)
{
	int n;

	stream.kind = RPC_UNIX_STREAM;
	stream.path[0] = '\0';
	if (jr_conf.stream_socket.n)
		return rpc_path(jr_conf.stream_socket, stream.path) == 0 ? 0 :
			log_fail(-ENAMETOOLONG, "jsonrpcs: stream_socket \"%.*s\"", STR_FMT(jr_conf.stream_socket));
	if (dgram.kind != RPC_UNIX_DGRAM)
		return 0;
	n = snprintf(stream.path, sizeof(stream.path), "%s.stream", dgram.path);
	if (n < 0 || (size_t)n >= sizeof(stream.path)) {
		log_warn("jsonrpcs: no stream socket, its name would be too long: %s.stream (stream_socket names another)", dgram.path);
		stream.path[0] = '\0';
	}
	return 0;
}

static int tcp_parse(void)
{
	struct str text = jr_conf.tcp_socket;

	tcp.kind = RPC_TCP;
	if (text.n == 0 || (str_istarts(text, STR_LIT("tcp:")) && rpc_hostport_parse(str_sub(text, 4, text.n), 0, &tcp.addr) == 0))
		return 0;
	log_error("jsonrpcs: tcp_socket \"%.*s\": tcp:address:port expected", STR_FMT(text));
	return -EINVAL;
}

int jr_sock_check(void)
{
	int err = dgram_parse();

	if (err == 0)
		err = stream_parse();
	return err < 0 ? err : tcp_parse();
}

const char *jr_sock_path(enum jr_file file)
{
	return file == JR_STREAM ? stream.path : dgram.kind == RPC_UNIX_DGRAM ? dgram.path : "";
}

static int stream_start(struct loop *loop, const struct rpc_perms *perms)
{
	static const struct rpc_serving serving = { .who = "jsonrpcs", .run = run, .frame = jr_doc_end, .request_max = JR_DOC_MAX,
						    .one_each = true };
	int fd, err;

	if (!stream.path[0])
		return 0;
	err = rpc_sock_open("jsonrpcs", &stream, perms, &fd);
	if (err < 0)
		return err;
	jr_file_note(JR_STREAM);
	return rpc_serve(loop, fd, &stream, &serving);
}

int jr_dgram_start(struct loop *loop)
{
	static const struct rpc_serving serving = { .who = "jsonrpcs", .run = run, .request_max = JR_DOC_MAX };
	struct rpc_perms perms = { jr_conf.dgram_mode, jr_conf.dgram_user, jr_conf.dgram_group };
	int fd, err = rpc_sock_open("jsonrpcs", &dgram, &perms, &fd);

	if (err < 0)
		return err;
	if (dgram.kind == RPC_UNIX_DGRAM)
		jr_file_note(JR_DGRAM);
	err = rpc_serve(loop, fd, &dgram, &serving);
	return err < 0 ? err : stream_start(loop, &perms);
}

int jr_tcp_start(struct loop *loop)
{
	static const struct rpc_serving serving = { .who = "jsonrpcs", .run = run, .frame = jr_doc_end, .request_max = JR_DOC_MAX,
						    .one_each = true };
	int fd, err = rpc_sock_open("jsonrpcs", &tcp, &(struct rpc_perms){ 0 }, &fd);

	return err < 0 ? err : rpc_serve(loop, fd, &tcp, &serving);
}
