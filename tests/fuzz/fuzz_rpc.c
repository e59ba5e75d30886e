/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON-RPC: any bytes on a stream. Documents are cut out as the TCP transport and the FIFO do, each is run, and each reply is JSON
 * with what the request asked for. The methods take their parameters in every way there is, and build any tree: the
 * parameter of t.build is a program for the struct builder. Commands cfg.* change settings, within their bounds.
 */
#include <errno.h>
#include <jansson.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/rpc/rpc_priv.h"
#include "core/settings/cfg.h"
#include "modules/jsonrpcs/jr_priv.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/fuzz/fuzz.h"

extern const struct module module_cfg_rpc;

#define REPLY_MAX ((size_t)16 << 20)

static void t_echo(struct rpc *rpc)
{
	struct str s;
	int64_t i;
	double d;

	while (rpc_args_left(rpc)) {
		unsigned left = rpc_args_left(rpc);

		if (rpc_arg_is_str(rpc) && left % 2 && rpc_arg_str(rpc, &s) == 0)
			rpc_add_str(rpc, NULL, NULL, s);
		else if (left % 3 == 0 && rpc_arg_int(rpc, &i) == 0)
			rpc_add_int(rpc, NULL, NULL, i);
		else if (left % 3 == 1 && rpc_arg_double(rpc, &d) == 0)
			rpc_add_double(rpc, NULL, NULL, d);
		else if (rpc_arg_any_str(rpc, &s) == 0)
			rpc_add_str(rpc, NULL, NULL, s);
		else
			break;
		fuzz_require(rpc_args_left(rpc) == left - 1);
	}
	fuzz_require(rpc_args_left(rpc) > 0 || (rpc_arg_int(rpc, &i) == -ENOENT && rpc_arg_str(rpc, &s) == -ENOENT));
}

/* One letter does one thing; '{' and '[' go into a new node, '}' comes back out. */
static void t_build(struct rpc *rpc)
{
	struct rpc_node *at[32] = { NULL };
	unsigned depth = 0;
	struct str prog;

	if (rpc_arg_str(rpc, &prog) < 0) {
		rpc_fault(rpc, 400, "a program is missing, %u left", rpc_args_left(rpc));
		return;
	}
	for (size_t i = 0; i < prog.n; i++) {
		const char *name = (i & 1) ? "name" : NULL;
		struct rpc_node *parent = at[depth], *node = NULL;

		switch (prog.s[i]) {
		case '{':
			node = rpc_add_object(rpc, parent, name);
			break;
		case '[':
			node = rpc_add_array(rpc, parent, name);
			break;
		case '}':
			depth -= depth > 0;
			break;
		case 'i':
			rpc_add_int(rpc, parent, name, (int64_t)i - 3);
			break;
		case 'd':
			rpc_add_double(rpc, parent, name, (double)i / 7);
			break;
		case 's':
			rpc_add_str(rpc, parent, name, str_sub(prog, i, 3)); /* may cut a character */
			break;
		case '0':
			rpc_add_null(rpc, parent, name);
			break;
		case 'b':
			rpc_add_bool(rpc, parent, name, i & 2);
			break;
		case 'p':
			rpc_add_printf(rpc, parent, name, "%zu \"%s\"", i, "x\n");
			break;
		case 'f':
			rpc_fault(rpc, (int)i, "%.*s", STR_FMT(prog));
			break;
		default:
			break;
		}
		if (node && depth + 1 < 32)
			at[++depth] = node;
	}
}

static const struct rpc_method methods[] = {
	{ "t.echo", t_echo, RPC_RET_ARRAY, "echo" },
	{ "t.build", t_build, 0, "one result" },
	{ "t.list", t_build, RPC_RET_ARRAY, "all results" },
	{ .name = NULL },
};

/* ---- settings: what they answer depends on what was done before ---- */

static struct rpc_method cfg_methods[32];
static bool ran_cfg;

static struct cfg_conf {
	int number;
	struct str text;
} cfg_conf;

static const struct setting cfg_settings[] = {
	SETTING_LIVE_INT("number", struct cfg_conf, number, 5, -10, 1000), SETTING_LIVE_STR("text", struct cfg_conf, text, "a"), SETTING_END
};
static const struct cfg_live cfg_live[] = { { "number", NULL, "from -10 to 1000", 0 }, { "text", NULL, "any", CFG_READ_ONLY }, { .name = NULL } };
static const struct cfg_follower cfg_follower = { .group = "f", .live = cfg_live, .settings = cfg_settings, .conf = &cfg_conf };

static void run_cfg(struct rpc *rpc)
{
	ran_cfg = true;
	for (const struct rpc_method *m = module_cfg_rpc.rpcs; m->name; m++)
		if (strcmp(m->name, rpc->method->name) == 0)
			m->fn(rpc);
}

static void cfg_once(void)
{
	fuzz_require(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64u << 20 }) == 0 && shm_slot_take(0, SHM_SLOT_TEST) == 0);
	settings_defaults(cfg_settings, &cfg_conf);
	fuzz_require(cfg_declare(STR_LIT("g"), 0, STR_LIT("i"), true, 1, STR_NULL, STR_LIT("a number")) == 0);
	fuzz_require(cfg_declare(STR_LIT("g"), 0, STR_LIT("s"), false, 0, STR_LIT("x"), STR_LIT("a text")) == 0);
	fuzz_require(cfg_declare(STR_LIT("g"), 3, STR_LIT("i"), true, 7, STR_NULL, STR_LIT("a number")) == 0);
	fuzz_require(cfg_follow(&cfg_follower) == 0 && cfg_share() == 0);
	for (unsigned i = 0; module_cfg_rpc.rpcs[i].name; i++) {
		fuzz_require(i + 1 < ARRAY_LEN(cfg_methods));
		cfg_methods[i] = module_cfg_rpc.rpcs[i];
		cfg_methods[i].fn = run_cfg;
	}
	fuzz_require(rpc_register(cfg_methods) == 0);
}

static void cfg_whole(void)
{
	struct pool *pool = pool_new(65536);
	struct value v;

	cfg_catch_up();
	fuzz_require(pool && cfg_conf.number >= -10 && cfg_conf.number <= 1000 && str_eq(cfg_conf.text, STR_LIT("a")));
	fuzz_require(cfg_get(STR_LIT("g"), 0, STR_LIT("i"), pool, &v) == 0 && v.kind == VALUE_INT);
	fuzz_require(cfg_get(STR_LIT("g"), 0, STR_LIT("s"), pool, &v) == 0 && v.kind == VALUE_STR && v.s.n <= CFG_TEXT_MAX);
	pool_free(pool);
}

/* The reply at once, and read in pieces: the same; what cannot be finished in pieces was a fault at once. */
static void read_again(struct str doc, bool pretty, struct str whole)
{
	struct rpc_out out = { .no_store = true };
	struct strbuf sb;
	int more;

	fuzz_require(rpc_json_run(doc, pretty, &out) == 0);
	strbuf_init(&sb, REPLY_MAX);
	do {
		size_t had = sb.n;

		more = rpc_read(out.call, &sb, 1 + sb.n % 7);
		fuzz_require(more == 0 || more == -EMSGSIZE || (more == 1 && sb.n > had));
	} while (more > 0);
	rpc_free(out.call);
	fuzz_require(more == 0 ? str_eq(strbuf_str(&sb), whole) : str_find(whole, STR_LIT("too large")) >= 0);
	strbuf_done(&sb);
}

static void run(struct str doc, bool pretty)
{
	struct rpc_out out = { .no_store = true };
	struct strbuf sb;
	json_t *reply;
	int err;

	strbuf_init(&sb, REPLY_MAX);
	out.reply = &sb;
	ran_cfg = false;
	err = rpc_json_run(doc, pretty, &out);
	fuzz_require(err == 0 || err == -EBADMSG);
	fuzz_require((err == 0) == (sb.n > 0));
	if (err == 0) {
		reply = json_loadb(sb.p, sb.n, JSON_ALLOW_NUL, NULL);
		fuzz_require(reply != NULL);
		fuzz_require(json_object_get(reply, "result") || json_object_get(reply, "error"));
		json_decref(reply);
		if (ran_cfg)
			cfg_whole();
		else
			read_again(doc, pretty, strbuf_str(&sb));
	}
	strbuf_done(&sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool once;
	struct str in, rest;

	if (!once) {
		once = true;
		log_level_set(L_ALERT - 1);
		fuzz_require(rpc_register(methods) == 0);
		cfg_once();
	}
	if (size == 0)
		return 0;
	in = fuzz_copy(data + 1, size - 1);
	if (data[0] & 2) {
		run(in, data[0] & 1); /* a datagram */
	} else {
		for (rest = in; rest.n;) {
			struct rpc_scan scan = { 0 }, slow = { 0 };
			ptrdiff_t n = jr_doc_end(rest, &scan), cut = 0;

			for (size_t k = 1; k <= rest.n && cut == 0; k++) /* the same when it comes byte by byte */
				cut = jr_doc_end(str_sub(rest, 0, k), &slow);
			fuzz_require(n >= 0 && cut == n && (n == 0 || slow.from == scan.from));
			if (n == 0)
				break;
			fuzz_require(scan.from + (size_t)n <= rest.n && rest.s[scan.from] == '{' && rest.s[scan.from + (size_t)n - 1] == '}');
			run(str_sub(rest, scan.from, (size_t)n), data[0] & 1);
			rest = str_sub(rest, scan.from + (size_t)n, rest.n);
		}
	}
	fuzz_free(in);
	return 0;
}
