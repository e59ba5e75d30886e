/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams (Unix and UDP): one document each, answered to where it came from. TCP: one document, one answer, closed.
 */
#include <errno.h>

#include "core/base/log.h"
#include "modules/jsonrpcs/jr_priv.h"

#define DGRAM_PORT_MIN 1024u

static int run(struct str doc, struct rpc_out *out)
{
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

static struct rpc_sock dgram, tcp;

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

	return err < 0 ? err : tcp_parse();
}

int jr_dgram_start(struct loop *loop)
{
	static const struct rpc_serving serving = { .who = "jsonrpcs", .run = run, .request_max = JR_DOC_MAX };
	struct rpc_perms perms = { jr_conf.dgram_mode, jr_conf.dgram_user, jr_conf.dgram_group };
	int fd, err = rpc_sock_open("jsonrpcs", &dgram, &perms, &fd);

	if (err < 0)
		return err;
	if (dgram.kind == RPC_UNIX_DGRAM)
		jr_file_note(false);
	return rpc_serve(loop, fd, &dgram, &serving);
}

int jr_tcp_start(struct loop *loop)
{
	static const struct rpc_serving serving = { .who = "jsonrpcs", .run = run, .frame = jr_doc_end, .request_max = JR_DOC_MAX,
						    .one_each = true };
	int fd, err = rpc_sock_open("jsonrpcs", &tcp, &(struct rpc_perms){ 0 }, &fd);

	return err < 0 ? err : rpc_serve(loop, fd, &tcp, &serving);
}
