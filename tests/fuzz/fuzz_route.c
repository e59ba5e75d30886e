/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message goes through script functions and variables that take apart what is in it: Route and Path sets, encoded Contacts,
 * multipart bodies, parameters of URIs, dates, credentials, selects. The first byte says which route runs (one each,
 * so that an input is quick), the rest is the message. Behind each run the edited message is built, as forwarding it would, and
 * shared memory is whole. Answers and forwarded messages go nowhere.
 */
#include "core/base/clock.h"
#include "core/script/vm.h"
#include "core/tm/out.h"
#include "modules/usrloc/ul_priv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_mods.h"

extern const struct module module_pv, module_textops, module_siputils, module_sanity, module_rr, module_maxfwd, module_kex, module_xlog,
	module_usrloc, module_registrar, module_auth;

#define ROUTES 13

static const char text[] =
	"request_route { exit; }\n"
	"route[r0] { $var(r) = loose_route(); rr_next_hop_route(); is_direction(\"upstream\"); check_route_param(\"a=.*\"); $var(x) = \"$rdir(id) $route_uri $fti\"; }\n"
	"route[r1] { add_rr_param(\";a=b\"); record_route(); loose_route_mode(\"1\"); loose_route_preloaded(); }\n"
	"route[r2] { save(\"location\"); lookup(\"location\"); registered(\"location\", \"$fu\"); reg_fetch_contacts(\"location\", \"$tu\", \"c\");\n"
	"  $var(x) = \"$(ulc(c=>addr)) $(ulc(c=>path)) $(ulc(c=>received)) $ulc(c=>count)\"; unregister(\"location\", \"$tu\"); }\n"
	"route[r3] { save(\"location\", \"4\"); lookup_branches(\"location\"); lookup_to_dset(\"location\"); reg_from_user(\"location\", \"$fU\", \"1\"); }\n"
	"route[r4] { encode_contact(\"enc\", \"1.2.3.4\"); decode_contact(); decode_contact_header(); contact_param_encode(\"n\", \"x\");\n"
	"  contact_param_decode(\"n\"); contact_param_decode_ruri(\"n\"); contact_param_rm(\"n\"); contact_param_check(\"n\"); contact_param_encode_alias(\"a\", \"b\"); }\n"
	"route[r5] { sanity_check(\"20135\", \"7\"); mf_process_maxfwd_header(\"10\"); hdr_date_check(\"10\"); sip_p_charging_vector(\"g\"); is_first_hop(); options_reply(); }\n"
	"route[r6] { search(\"a+b\"); search_body(\"c\"); search_hf(\"Contact\", \"x\", \"a\"); replace(\"bob\", \"eve\"); replace_body_all(\"v\", \"w\");\n"
	"  subst(\"/From/Form/g\"); subst_hf(\"Subject\", \"/a/b/\", \"a\"); subst_body(\"/x/y/\"); remove_hf_re(\"^X-\"); append_hf(\"X-A: 1\\r\\n\"); insert_hf(\"X-B: 2\\r\\n\", \"To\");\n"
	"  filter_body(\"application/sdp\"); has_body(\"application/sdp\"); is_privacy(\"id\"); in_list(\"$fU\", \"$tU\", \",\"); }\n"
	"route[r7] { get_body_part(\"text/plain\", \"$var(p)\"); get_body_part_raw(\"application/sdp\", \"$var(p)\"); remove_body_part(\"text/plain\"); filter_body(\"text/plain\"); }\n"
	"route[r12] { set_body_multipart(\"$rb\", \"text/plain\", \"bb\"); append_body_part(\"x$rb\", \"text/plain\"); append_body_part_hex(\"$rb\", \"a/b\"); set_body(\"v=0\", \"a/b\"); }\n"
	"route[r8] { uri_param(\"a\"); uri_param(\"a\", \"b\"); add_uri_param(\"x=y\"); get_uri_param(\"a\", \"$var(u)\"); uri_param_rm(\"a\"); is_gruu(); is_user(\"alice\"); has_totag();\n"
	"  cmp_uri(\"$ru\", \"$tu\"); cmp_aor(\"$fu\", \"$tu\"); is_uri(\"$ct\"); append_rpid_hf(); is_supported(\"path\"); is_tel_number(\"$rU\"); is_myself(\"$ru\"); }\n"
	"route[r9] { $var(x) = \"$ru $rU $rd $rp $rP $ruri $fu $fU $fd $fn $ft $tu $tU $td $tn $tt $ci $cs $rm $ct $cl $mb $ml $rb $ua $sht $ai $pu $di $dip $dir $dic $re $ad $au $ar $aU $aa $an $auth\"; }\n"
	"route[r10] { $var(x) = \"$(hdr(Contact)[0]) $(hdr(Via)[-1]) $hdrc(Route) $(hdr(X-Test)[*]) $via0(host) $via1(branch) $viaZ(port) $cT $rv $bs $sp $rb $msg(buf) $msg(lpart)\n"
	" $(fu{uri.user}) $(ct{nameaddr.uri}{uri.host}) $(ct{nameaddr.uri}{uri.params}{param.value,transport}) $(ru{uri.tosocket}) $(tu{s.escape.user}) $(rb{line.count}) $(fu{s.md5})\"; }\n"
	"route[r11] { $var(x) = @contact.uri.host; $var(x) = @from.tag; $var(x) = @to.uri.params; $var(x) = @via.host; $var(x) = @cseq.method; $var(x) = @msg.header[\"X\"];\n"
	"  has_credentials(\"r\"); pv_www_authenticate(\"r\", \"pw\", \"0\"); pv_proxy_authenticate(\"r\", \"pw\", \"0\"); consume_credentials(); }\n";

static struct loop *loop;
static struct script *script;
static int route_at[ROUTES];

/* Functions of one row each are asked for by name, so that a script that names what is not there stops here at once. */
static int h_module(struct str name, struct str opts, struct diag *reterr)
{
	(void)name, (void)opts, (void)reterr;
	return 0;
}
static int h_path(struct str path, struct diag *reterr)
{
	(void)path, (void)reterr;
	return 0;
}

static void set(const struct module *m)
{
	struct ul_domain *d;

	if (m == &module_usrloc)
		fuzz_require(ul_domain_get(STR_LIT("location"), &d, NULL) == 0);
	if (m == &module_registrar) {
		fuzz_set(m, "use_path", 1, NULL);
		fuzz_set(m, "path_mode", 0, NULL);
		fuzz_set(m, "path_use_received", 1, NULL);
		fuzz_set(m, "method_filtering", 1, NULL);
	}
	if (m == &module_auth)
		fuzz_set(m, "secret", 0, "0123456789abcdef0123456789abcdef");
}

static void once(void)
{
	static const struct module *const modules[] = { &module_pv, &module_textops, &module_siputils, &module_sanity, &module_rr, &module_maxfwd,
							&module_kex, &module_xlog, &module_usrloc, &module_registrar, &module_auth };
	static const struct script_host host = { .load_module = h_module, .load_path = h_path };
	struct script_opts opts = { .path = "fuzz", .text = STR_LIT(text), .host = &host, .all_errors = true };
	struct vm_conf conf = { .max_while_loops = 10, .max_recursive_level = 8 };
	struct script_err *errs = NULL;

	if (loop)
		return;
	loop = fuzz_modules_start(modules, ARRAY_LEN(modules), set);
	vm_configure(&conf);
	if (script_load(&opts, &script, &errs) < 0) {
		for (struct script_err *e = errs; e; e = e->next)
			script_err_print(stderr, e);
		abort();
	}
	script_errs_free(errs);
	vm_set_script(script);
	for (int i = 0; i < ROUTES; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "r%d", i);

		route_at[i] = script_route_find(script, CTX_REQUEST, str_of(name, (size_t)n));
		fuzz_require(route_at[i] >= 0);
	}
}

static void build(struct ctx *ctx)
{
	struct out_request req = { .edits = &ctx->edits, .ruri = ctx->main.uri, .branch = STR_LIT("z9hG4bKt"), .from = net_listener_at(0) };
	struct sip_out out;

	if (ctx->msg.kind == SIP_REQUEST && out_request_build(ctx, &req, &out) == 0) {
		char *bytes = malloc(out.bytes ? out.bytes : 1);

		fuzz_require(bytes != NULL && out.bytes <= 65535);
		sip_out_copy(&out, bytes);
		free(bytes);
	}
}

/* The context is given back when the script ends while it waits. */
static bool waits;
static int waited_rc;

static void resumed(struct ctx *ctx, int rc)
{
	if (vm_resume(ctx, rc, &waited_rc) == VM_DONE)
		waits = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	struct diag d = { 0 };
	struct ctx *ctx;
	struct str in;
	int rc;

	once();
	if (size < 2 || size > 16384)
		return 0;
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0 && net_addr_parse(STR_LIT("127.0.0.1"), 5060, &rx.dst) == 0);
	in = fuzz_copy(data + 1, size - 1);
	ctx = ctx_from_bytes(in, &rx);
	fuzz_free(in);
	if (!ctx)
		return 0;
	if (sip_msg_check(&ctx->msg, &d) == 0 || data[0] & 0x80) {
		ctx->resume = resumed;
		waits = vm_run(ctx, script, route_at[data[0] % ROUTES], ctx->msg.kind == SIP_REQUEST ? CTX_REQUEST : CTX_CORE_REPLY, &rc) == VM_PARKED;
		for (unsigned i = 0; i < 16 && waits; i++)
			fuzz_turn(loop);
		fuzz_require(!waits);
		build(ctx);
	}
	ctx_free(ctx);
	fuzz_require(ctx_in_use() == 0);
	if (ul_domain_count())
		fuzz_require(ul_check() == 0);
	return 0;
}
