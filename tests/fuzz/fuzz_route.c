/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message goes through script functions and variables that take apart what is in it: Route and Path sets, encoded Contacts,
 * multipart bodies, parameters of URIs, dates, credentials, selects. The first byte says which route runs (one each,
 * so that an input is quick), the second which settings hold, the rest is the message; "@N" in it is the flow token of its own source, "@M" one of
 * another. Behind each run the edited message is built, as forwarding it would, and shared memory is whole. Answers and forwarded
 * messages go nowhere.
 */
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/script/vm.h"
#include "core/tm/out.h"
#include "modules/outbound/outbound_api.h"
#include "modules/usrloc/ul_priv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_mods.h"

extern const struct module module_pv, module_textops, module_textopsx, module_siputils, module_sanity, module_outbound, module_rr, module_maxfwd,
	module_kex, module_xlog, module_usrloc, module_registrar, module_auth, module_corex;

#define ROUTES 26

static const char text[] =
	"request_route { exit; }\n"
	"route[r0] { $var(r) = loose_route(); rr_next_hop_route(); is_direction(\"upstream\"); is_direction(\"downstream\"); check_route_param(\"a=.*\");\n"
	"  starts_with(\"$rdir(id) $rdir(name) $route_uri $fti $tti\", \"x\"); record_route(); }\n"
	"route[r1] { add_rr_param(\";a=b\"); record_route(); add_rr_param(\";c\"); loose_route_mode(\"1\"); loose_route_preloaded(); }\n"
	"route[r2] { save(\"location\"); lookup(\"location\"); registered(\"location\", \"$fu\"); reg_fetch_contacts(\"location\", \"$tu\", \"c\");\n"
	"  starts_with(\"$(ulc(c=>addr)) $(ulc(c=>path)) $(ulc(c=>received)) $ulc(c=>count)\", \"x\"); unregister(\"location\", \"$tu\"); }\n"
	"route[r3] { save(\"location\", \"4\"); lookup_branches(\"location\"); lookup_to_dset(\"location\"); reg_from_user(\"location\", \"$fU\", \"1\"); }\n"
	"route[r4] { encode_contact(\"enc\", \"1.2.3.4\"); decode_contact(); decode_contact_header(); contact_param_encode(\"n\", \"sip:x\");\n"
	"  contact_param_decode(\"n\"); contact_param_decode_ruri(\"n\"); contact_param_rm(\"n\"); contact_param_check(\"n\"); contact_param_encode_alias(\"a\", \"b\"); }\n"
	"route[r5] { sanity_check(\"1\"); sanity_check(\"2\"); sanity_check(\"4\"); sanity_check(\"32\"); sanity_check(\"64\"); sanity_check(\"128\"); sanity_reply();\n"
	"  sanity_check(\"256\"); sanity_check(\"512\"); sanity_check(\"1024\", \"15\"); sanity_check(\"1024\", \"8\"); sanity_check(\"2048\"); sanity_check(\"4096\");\n"
	"  sanity_check(\"8192\"); sanity_check(\"16384\"); sanity_check(\"32768\"); sanity_check(\"65536\"); sanity_reply(); sanity_reply(); sanity_check();\n"
	"  mf_process_maxfwd_header(\"10\"); hdr_date_check(\"10\"); sip_p_charging_vector(\"g\"); is_first_hop(); options_reply(); }\n"
	"route[r6] { search(\"a+b\"); search_body(\"c\"); search_hf(\"Contact\", \"x\", \"a\"); replace(\"bob\", \"eve\"); replace_body_all(\"v\", \"w\");\n"
	"  subst(\"/From/Form/g\"); subst_hf(\"Subject\", \"/a/b/\", \"a\"); subst_body(\"/x/y/\"); remove_hf_re(\"^X-\"); append_hf(\"X-A: 1\\r\\n\"); insert_hf(\"X-B: 2\\r\\n\", \"To\");\n"
	"  filter_body(\"application/sdp\"); has_body(\"application/sdp\"); is_privacy(\"id\"); in_list(\"$fU\", \"$tU\", \",\"); }\n"
	"route[r7] { get_body_part(\"text/plain\", \"$var(p)\"); get_body_part_raw(\"application/sdp\", \"$var(p)\"); remove_body_part(\"text/plain\"); filter_body(\"text/plain\");\n"
	"  append_body_part(\"new\", \"a/b\", \"render\"); filter_body(\"a/b\"); }\n"
	"route[r8] { uri_param(\"a\"); uri_param(\"a\", \"b\"); add_uri_param(\"x=y\"); get_uri_param(\"a\", \"$var(u)\"); uri_param_rm(\"a\"); is_gruu(); is_user(\"alice\"); has_totag();\n"
	"  cmp_uri(\"$ru\", \"$tu\"); cmp_aor(\"$fu\", \"$tu\"); is_uri(\"$ct\"); append_rpid_hf(); is_supported(\"path\"); is_tel_number(\"$rU\"); is_myself(\"$ru\"); }\n"
	"route[r9] { starts_with(\"$ru $rU $rd $rp $rP $ruri $fu $fU $fd $fn $ft $tu $tU $td $tn $tt $ci $cs $rm $ct $cl $mb $ml $rb $ua $ai $pu $di $dip $dir $dic $re $ad $au $ar $aU $aa\", \"x\"); }\n"
	"route[r10] { starts_with(\"$(hdr(Contact)[0]) $(hdr(Via)[-1]) $hdrc(Route) $(hdr(X-Test)[*]) $via0(host) $via1(branch) $viaZ(port) $cT $rv $bs $sp $rb $msg(buf) $msg(lpart)"
	" $(fu{uri.user}) $(ct{nameaddr.uri}{uri.host}) $(ct{nameaddr.uri}{uri.params}{param.value,transport}) $(ru{uri.tosocket}) $(tu{s.escape.user}) $(rb{line.count}) $(fu{s.md5})\", \"x\"); }\n"
	"route[r11] { $var(x) = @contact.uri.host; $var(x) = @from.tag; $var(x) = @to.uri.params; $var(x) = @via.host; $var(x) = @cseq.method; $var(x) = @msg.header[\"X\"];\n"
	"  has_credentials(\"r\"); pv_www_authenticate(\"r\", \"pw\", \"0\"); pv_proxy_authenticate(\"r\", \"pw\", \"0\"); consume_credentials(); }\n"
	"route[r12] { set_body_multipart(\"$rb\", \"text/plain\", \"bb\"); append_body_part(\"x$rb\", \"text/plain\"); append_body_part_hex(\"$rb\", \"a/b\"); set_body(\"v=0\", \"a/b\"); }\n"
	/* fields of REGISTER that scripts override, answers kept back */
	"route[r13] { $xavp(cfg=>max_contacts) = 2; $xavp(cfg[0]=>expires) = $(hdr(X-Expires){s.int}); $xavp(cfg[0]=>q) = $(hdr(X-Q){s.int});\n"
	"  $xavp(cfg[0]=>match_callid) = 1; $xavp(cfg[0]=>match_received) = 1; $xavp(cfg[0]=>tcpconn_id) = 7; $xavp(cfg[0]=>socket) = $hdr(X-Socket);\n"
	"  $xavp(kept=>a) = $ua; $xavp(kept[0]=>b) = 5; $avp(rcv) = $hdr(X-Received); setflag(5);\n"
	"  save(\"location\", \"0x02\", \"$hdr(X-Uri)\"); reg_send_reply(); save(\"location\", \"0x1b\"); reg_send_reply(); lookup(\"location\", \"$hdr(X-Uri)\");\n"
	"  registered(\"location\", \"$fu\", \"3\", \"1\"); lookup_xavp(\"location\", \"$tu\", \"ra\", \"rb\"); add_sock_hdr(\"X-Sock\"); unregister(\"location\", \"$tu\", \"$hdr(X-Ruid)\"); }\n"
	/* what encode_contact() and contact_param_encode() wrote comes back: the same functions the other way, on addresses of all shapes */
	"route[r14] { contact_param_encode(\"n\", \"$fu\"); contact_param_encode_alias(\"alias\", \"$hdr(X-Socket)\"); }\n"
	"route[r15] { sip_p_charging_vector(\"f\"); sip_p_charging_vector(\"r\"); starts_with(\"$pcv(all) $pcv(value) $pcv(genaddr) $pcv(orig) $pcv(term) $pcv(status)\", \"x\");\n"
	"  encode_contact(\"$hdr(X-Uri)\", \"$rd\"); contact_param_decode(\"alias\"); }\n"
	"route[r16] { set_body_multipart(); append_body_part(\"$hdr(X-Uri)\", \"text/plain\", \"session\"); get_body_part(\"text/plain\", \"$var(p)\"); set_body_multipart(\"$hdr(X-Uri)\");\n"
	"  set_body_hex(\"$hdr(X-Hex)\", \"a/b\"); set_reply_body_hex(\"$hdr(X-Hex)\", \"a/b\"); set_reply_body(\"$rb\", \"$cT\"); is_audio_on_hold(); append_body_part_hex(\"$hdr(X-Hex)\", \"a/b\", \"x\"); }\n"
	/* values of header fields */
	"route[r17] { append_hf_value(\"Foo[1]\", \"a\"); append_hf_value(\"Foo\", \"b\"); insert_hf_value(\"Foo[-1]\", \"c\"); insert_hf_value(\"Foo\", \"d\"); include_hf_value(\"Supported\", \"path\");\n"
	"  exclude_hf_value(\"Supported\", \"timer\"); hf_value_exists(\"Require\", \"path\"); include_hf_value(\"Foo\", \"z\"); fnmatch(\"$ru\", \"$hdr(X-Uri)\"); fnmatch(\"$ru\", \"*a*\", \"i\"); }\n"
	"route[r18] { remove_hf_value(\"Foo[2]\"); remove_hf_value(\"Foo[*].a\"); assign_hf_value(\"Foo[1].b\", \"v\"); assign_hf_value(\"Foo[-1]\", \"v\"); assign_hf_value(\"Foo[*].c\", \"\");\n"
	"  remove_hf_value(\"Contact[1].expires\"); remove_hf_value2(\"Authorization.nonce\"); assign_hf_value2(\"Authorization.opaque\", \"x\"); remove_hf_value(\"Route[*]\"); }\n"
	/* the changed message is read again: views of the old one must not be used any more */
	"route[r19] { hf_iterator_start(\"h\"); bl_iterator_start(\"b\"); hf_iterator_next(\"h\"); bl_iterator_next(\"b\"); $var(i) = 0;\n"
	"  while ($var(i) < 6) { hf_iterator_next(\"h\"); if ($hfitname(h) == \"Foo\") { hf_iterator_rm(\"h\"); hf_iterator_insert(\"h\", \"X-I: $hfitbody(h)\"); }\n"
	"    bl_iterator_next(\"b\"); if ($blitval(b) =~ \"^a=\") { bl_iterator_rm(\"b\"); bl_iterator_append(\"b\", \"$blitval(b)\"); bl_iterator_insert(\"b\", \"i=1\\r\\n\"); } $var(i) = $var(i) + 1; }\n"
	"  hf_iterator_append(\"h\", \"X-J: 1\\r\\n\"); msg_apply_changes(); starts_with(\"$hfitname(h) $hfitbody(h) $blitval(b)\", \"x\"); hf_iterator_prev(\"h\"); hf_iterator_rm(\"h\"); bl_iterator_rm(\"b\");\n"
	"  loose_route(); starts_with(\"$ct $fu $rb\", \"x\"); hf_iterator_end(\"h\"); bl_iterator_end(\"b\"); }\n"
	"route[r20] { append_hf(\"$hdr(X-Uri)\\r\\n\"); subst_body(\"/a/bb/g\"); subst_uri(\"/a/b/\"); subst_user(\"/a/b/\"); msg_changed_route(\"look\"); msg_apply_changes(); keep_hf(\"^X-\"); remove_body();\n"
	"  msg_apply_changes(); msg_set_buffer(\"$rb\"); starts_with(\"$rm $ru $fu $ct\", \"x\"); record_route(); msg_apply_changes(); }\n"
	"route[look] { starts_with(\"$rb $hdr(X-Uri) $ct $ru\", \"x\"); append_hf(\"X-L: 1\\r\\n\"); }\n"
	"route[r21] { tel2sip(\"$ru\", \"$fd\", \"$var(t)\"); is_e164(\"$rU\"); is_uri_user_e164(\"$fu\"); is_numeric(\"$rU\"); is_alphanum(\"$rU\"); is_alphanumex(\"$rU\", \"+-\"); cmp_hdr_name(\"$rU\", \"v\");\n"
	"  $var(t) = $ru; set_uri_user(\"$var(t)\", \"$fU\"); set_uri_host(\"$var(t)\", \"$fd\"); is_gruu(\"$ct\"); uri_param_any(\"a\"); is_rpid_user_e164(); sip_parse_headers();\n"
	"  remove_hf_idx(\"Foo\", \"-1\"); remove_hf_match(\"Via\", \"re\", \"a\"); via_param_rm(\"rport\", \"1\"); regex_substring(\"$ru\", \"(a)(b)?\", \"1\", \"2\", \"$var(t)\"); replace_str(\"a\", \"bc\", \"all\");\n"
	"  search_append(\"a+\", \"b\"); append_urihf(\"CC-Diversion: \", \"\\r\\n\"); replace_hdrs(\"a\", \"b\"); remove_hf_exp(\"^X\", \"a\"); in_list_prefix(\"$fU\", \"$tU\", \",\"); append_time_to_request(); }\n"
	"route[r22] { is_request(); is_reply(); is_sip(); is_http(); is_first_hop(\"1\"); $avp(s:rpid) = $hdr(X-Uri); append_rpid_hf(); append_rpid_hf(\"<\", \">\"); is_rpid_user_e164();\n"
	"  cmp_uri(\"$ru\", \"$hdr(X-Uri)\"); cmp_aor(\"$ru\", \"$hdr(X-Uri)\"); is_uri(\"$hdr(X-Uri)\"); cmp_hdr_name(\"$hdr(X-Uri)\", \"Via\"); uri_param(\"$hdr(X-Uri)\"); uri_param_rm(\"$hdr(X-Uri)\");\n"
	"  get_uri_param(\"$hdr(X-Uri)\", \"$var(u)\"); uri_param_any(\"$hdr(X-Uri)\"); add_uri_param(\"\"); is_alphanumex(\"$hdr(X-Uri)\", \"$rU\"); is_supported(\"$hdr(X-Uri)\"); hdr_date_check(\"$(hdr(X-Expires){s.int})\"); options_reply(); }\n"
	"route[r23] { search_hf(\"Foo\", \"a|b\", \"l\"); search_str(\"$hdr(X-Uri)\", \"(a|b)+\"); search_append_body(\"a\", \"b\"); replace_all(\"b*\", \"c\"); replace_body(\"a\", \"\"); replace_body_atonce(\"^a\", \"b\");\n"
	"  replace_body_atonce(\"(\", \"b\"); replace_body_str(\"$hdr(X-Uri)\", \"b\", \"first\"); replace_hdrs_str(\"$hdr(X-Uri)\", \"b\", \"all\"); subst_hf(\"Foo\", \"/a/$ru$avp(none)/\", \"l\"); subst_hf(\"Foo\", \"/b/c/\", \"f\");\n"
	"  subst_user(\"/(.)/\\1x/g\"); subst_v(\"$hdr(X-Uri)\", \"/a(.)/\\1\\0/g\", \"$var(t)\"); $var(e) = $hdr(X-Re); starts_with(\"$(ru{re.subst,/a(.)/$fU\\1b/gi}) $(fu{re.subst,$var(e)}) $(avp(none){re.subst,/a/b/})\", \"x\"); }\n"
	"route[r24] { append_hf(\"$hdr(X-Uri)\"); append_hf(\"X-A: 1\", \"Foo\"); insert_hf(\"X-B: $hdr(X-Uri)\"); insert_hf(\"$hdr(X-Uri)\", \"Via\"); append_to_reply(\"$hdr(X-Uri)\"); append_time(); remove_hf(\"Foo\"); remove_hf(\"Via\");\n"
	"  remove_hf_pv(\"$hdr(X-Uri)\"); remove_hf_re_pv(\"$hdr(X-Re)\"); remove_hf_exp_pv(\"$hdr(X-Re)\", \"a\"); remove_hf_exp_pv(\"^F\", \"$hdr(X-Re)\"); remove_hf_idx(\"$hdr(X-Uri)\", \"1\"); remove_hf_match(\"Foo\", \"eq\", \"a\");\n"
	"  remove_hf_match(\"Foo\", \"ne\", \"a\"); remove_hf_match(\"Foo\", \"in\", \"$hdr(X-Uri)\"); remove_hf_match(\"Foo\", \"zz\", \"a\"); is_present_hf(\"Foo\"); is_present_hf_pv(\"$hdr(X-Uri)\"); is_present_hf_re(\"^F\"); is_present_hf_re_pv(\"$hdr(X-Re)\");\n"
	"  via_param_rm(\"$hdr(X-Uri)\", \"1\"); via_param_rm(\"branch\", \"-1\"); is_privacy(\"$hdr(X-Uri)\"); }\n"
	"route[r25] { append_branch(\"$hdr(X-Uri)\", \"$hdr(X-Q)\"); set_source_address(\"$hdr(X-Socket)\"); set_send_socket(\"$hdr(X-Socket)\"); set_send_socket_name(\"$hdr(X-Uri)\");\n"
	"  set_recv_socket(\"$hdr(X-Socket)\"); set_recv_socket_name(\"$hdr(X-Uri)\"); is_socket_name(\"$hdr(X-Uri)\"); is_incoming(); has_ruri_user(); has_user_agent(); is_myself(\"$hdr(X-Uri)\");\n"
	"  $var(x) = $si; }\n";

/* Second byte: a bit set gives its rows the second value. */
static const struct {
	const struct module *m;
	uint8_t bit;
	const char *name;
	int64_t clear, set;
} settings[] = {
	{ &module_rr, 1, "enable_full_lr", 0, 1 },        { &module_rr, 1, "loose_route_mode", 0, 1 },     { &module_rr, 2, "enable_double_rr", 1, 0 },
	{ &module_rr, 2, "force_send_socket", 0, 1 },     { &module_rr, 4, "add_username", 0, 1 },         { &module_rr, 4, "sockname_mode", 0, 1 },
	{ &module_rr, 8, "append_fromtag", 1, 0 },        { &module_rr, 16, "ignore_sips", 0, 1 },
	{ &module_sanity, 1, "noreply", 0, 1 },           { &module_sanity, 2, "size_message", 16384, 600 }, { &module_sanity, 4, "size_headers", 8192, 400 },
	{ &module_sanity, 8, "size_body", 8192, 20 },     { &module_sanity, 16, "size_method", 32, 6 },    { &module_sanity, 16, "size_ruri", 256, 12 },
	{ &module_sanity, 32, "size_header", 2048, 60 },  { &module_sanity, 64, "size_from_uri", 256, 8 }, { &module_sanity, 64, "size_path_uri", 256, 8 },
	{ &module_registrar, 1, "use_path", 1, 0 },       { &module_registrar, 2, "path_mode", 0, 2 },     { &module_registrar, 4, "outbound_mode", 0, 1 },
	{ &module_registrar, 8, "outbound_mode", -1, 2 }, { &module_registrar, 16, "regid_mode", 0, 1 },   { &module_registrar, 16, "max_expires", 0, 7200 },
	{ &module_registrar, 32, "max_contacts", 0, 1 },  { &module_registrar, 32, "min_expires_mode", 0, 1 }, { &module_registrar, 64, "expires_range", 0, 50 },
	{ &module_registrar, 64, "contact_max_size", 512, 20 }, { &module_registrar, 64, "path_use_received", 1, 0 },
	{ &module_usrloc, 128, "use_domain", 0, 1 },      { &module_registrar, 128, "case_sensitive", 0, 1 }, { &module_registrar, 128, "method_filtering", 1, 0 },
};

static void settings_choose(uint8_t bits)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		int64_t v = bits & settings[i].bit ? settings[i].set : settings[i].clear;

		if (v >= 0) /* else a row before it has the say */
			fuzz_set(settings[i].m, settings[i].name, v, NULL);
	}
}

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

	if (m == &module_usrloc) {
		fuzz_require(ul_domain_get(STR_LIT("location"), &d, NULL) == 0);
		fuzz_set(m, "nat_bflag", 6, NULL);
		fuzz_set(m, "xavp_contact", 0, "kept");
	}
	if (m == &module_registrar) {
		fuzz_set(m, "xavp_cfg", 0, "cfg");
		fuzz_set(m, "received_avp", 0, "$avp(rcv)");
		fuzz_set(m, "realm_prefix", 0, "sip.");
		fuzz_set(m, "sock_flag", 5, NULL);
		fuzz_set(m, "sock_hdr_name", 0, "X-Socket");
	}
	if (m == &module_sanity) {
		fuzz_set(m, "autodrop", 0, NULL); /* one check after the other, whatever the first said */
		fuzz_set(m, "proxy_require", 0, "path, foo");
	}
	if (m == &module_corex)
		fuzz_set(m, "alias_subdomains", 0, "udp:sub.test:5060");
	if (m == &module_outbound)
		fuzz_set(m, "flow_token_secret", 0, "a secret of the test");
	if (m == &module_auth)
		fuzz_set(m, "secret", 0, "0123456789abcdef0123456789abcdef");
}

static void once(void)
{
	static const struct module *const modules[] = { &module_pv, &module_textops, &module_textopsx, &module_siputils, &module_sanity, &module_outbound,
							&module_rr, &module_maxfwd, &module_kex, &module_xlog, &module_usrloc, &module_registrar,
							&module_auth, &module_corex };
	static const struct net_listen_spec tcp = { .proto = SIP_PROTO_TCP, .host = STR_LIT("127.0.0.1"), .port = 5060, .name = STR_LIT("inner") };
	static const struct script_host host = { .load_module = h_module, .load_path = h_path };
	struct script_opts opts = { .path = "fuzz", .text = STR_LIT(text), .host = &host, .all_errors = true };
	struct vm_conf conf = { .max_while_loops = 10, .max_recursive_level = 8 };
	struct script_err *errs = NULL;

	if (loop)
		return;
	loop = fuzz_modules_start(modules, ARRAY_LEN(modules), set);
	fuzz_require(net_listener_add(&tcp, NULL) == 0);
	settings_choose(0);
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

static struct str token_of(struct ctx *ctx, uint16_t port)
{
	const struct outbound_api *ob = module_outbound.api;
	struct str token;

	ctx->rx = (struct rx_info){ .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.9"), port, &ctx->rx.src) == 0 && ob->token_make(ctx, &token) == 0);
	return token;
}

/* The message, with flow tokens for "@N" and "@M". To be freed. */
static struct str message(const uint8_t *data, size_t size)
{
	struct ctx *ctx = ctx_new();
	struct str in = str_of(data, size), own, other, out;
	struct strbuf sb;

	fuzz_require(ctx != NULL);
	own = token_of(ctx, 5070);
	other = token_of(ctx, 5071);
	strbuf_init(&sb, 1 << 20);
	for (size_t i = 0; i < in.n; i++) {
		char next = in.s[i] == '@' && i + 1 < in.n ? in.s[i + 1] : '\0';

		if (next == 'N' || next == 'M')
			strbuf_add(&sb, next == 'N' ? own : other);
		else
			strbuf_add_char(&sb, in.s[i]);
		i += next == 'N' || next == 'M';
	}
	out = fuzz_copy(sb.p, sb.n);
	strbuf_done(&sb);
	ctx_free(ctx);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	struct diag d = { 0 };
	struct ctx *ctx;
	struct str in;
	int rc;

	once();
	if (size < 3 || size > 16384)
		return 0;
	settings_choose(data[1]);
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0 && net_addr_parse(STR_LIT("127.0.0.1"), 5060, &rx.dst) == 0);
	in = message(data + 2, size - 2);
	ctx = ctx_from_bytes(in, &rx);
	fuzz_free(in);
	if (!ctx)
		return 0;
	if (sip_msg_check(&ctx->msg, &d) == 0 || data[0] & 0x80) {
		ctx->resume = resumed;
		waits = vm_run(ctx, script, route_at[(data[0] & 0x7f) % ROUTES], ctx->msg.kind == SIP_REQUEST ? CTX_REQUEST : CTX_CORE_REPLY, &rc) ==
			VM_PARKED;
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
