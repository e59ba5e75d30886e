# SPDX-License-Identifier: BSD-2-Clause
"""Return codes of textops, siputils and maxfwd, and what they leave in variables: each row is a call, what is printed after it, and the answer. BOTH was compared with
Kamailio 5.6.3; OURS is what it has not, or where RFC 3261 says otherwise (cmp_uri)."""
import os
import tempfile

import sip

HEAD = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=LISTEN_UDP
listen=LISTEN_TCP
loadmodule "jsonrpcs.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
modparam("jsonrpcs", "dgram_socket", RPC_SOCK)
modparam("jsonrpcs", "transport", 4)
request_route {
	if ($hdr(X-N) == $null) {
		sl_send_reply("200", "OK");
		exit;
	}
	$var(u) = "sip:alice@test.org:5070;x=y";
	$var(o) = "unset";
	switch ($hdr(X-N)) {
"""
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"
FIELDS = ["X-E1: +123456", "X-E2: 123456", "X-E3: +1", "X-E4: +12345678901234567", "X-Multi: one", "X-Multi: two", "X-Name: X-Multi", "Supported: path, 100rel",
          "Privacy: id", "Contact: <sip:alice@192.0.2.1;x=1>",
          'Authorization: Digest username="alice", realm="r", nonce="n", uri="sip:x", response="0123456789abcdef0123456789abcdef"']

BOTH = [
    ("has_totag()", "", "1"), ("is_request()", "", "1"), ("is_reply()", "", "-1"), ('uri_param("p")', "", "-1"), ('uri_param("P")', "", "-1"), ('uri_param("q")', "", "1"),
    ('uri_param("none")', "", "-1"), ('uri_param("p", "v")', "", "1"), ('uri_param("p", "V")', "", "-1"), ('uri_param("p", "x")', "", "-1"), ('uri_param("q", "")', "", "1"),
    ('uri_param_any("p")', "", "1"), ('uri_param_any("none")', "", "-1"), ('add_uri_param("x=y")', "$ru", "1 sip:+1234@test.org;p=v;q;x=y"),
    ('add_uri_param("")', "$ru", "1 sip:+1234@test.org;p=v;q"), ('get_uri_param("p", "$var(o)")', "$var(o)", "1 v"), ('get_uri_param("q", "$var(o)")', "$var(o)", "1"),
    ('get_uri_param("none", "$var(o)")', "$var(o)", "-1 unset"), ('uri_param_rm("p")', "$ru", "1 sip:+1234@test.org;q"), ('uri_param_rm("q")', "$ru", "1 sip:+1234@test.org;p=v"),
    ('uri_param_rm("none")', "$ru", "1 sip:+1234@test.org;p=v;q"), ('tel2sip("tel:+1-201-555-0123", "h.org", "$var(o)")', "$var(o)", "1 sip:+12015550123@h.org;user=phone"),
    ('tel2sip("tel:863-1234;phone-context=+1-914-555", "h.org", "$var(o)")', "$var(o)", "1 sip:8631234;phone-context=+1-914-555@h.org;user=phone"),
    ('tel2sip("sip:a@b", "h.org", "$var(o)")', "$var(o)", "2 unset"), ('tel2sip("tel:+(44).20", "h.org", "$var(o)")', "$var(o)", "1 sip:+4420@h.org;user=phone"),
    ('tel2sip("junk", "h.org", "$var(o)")', "$var(o)", "2 unset"), ('tel2sip("tel:+12;isub=1411;ext=3", "h.org", "$var(o)")', "$var(o)", "1 sip:+12;isub=1411;ext=3@h.org;user=phone"),
    ('is_uri("sip:a@b")', "", "1"), ('is_uri("a@b")', "", "-1"), ('is_uri("")', "", "-1"), ('is_uri("tel:+1")', "", "1"), ('is_uri("sip:")', "", "-1"), ('is_uri("sip:a@b:x")', "", "-1"),
    ('is_uri("sips:b")', "", "1"), ('is_uri("http://x")', "", "-1"), ('is_e164("$hdr(X-E1)")', "", "1"), ('is_e164("$hdr(X-E2)")', "", "-1"), ('is_e164("$hdr(X-E3)")', "", "-1"),
    ('is_e164("$hdr(X-E4)")', "", "-1"), ('is_uri_user_e164("$ru")', "", "1"), ('is_uri_user_e164("$fu")', "", "-1"), ('is_uri_user_e164("$hdr(X-E1)")', "", "-1"),
    ('is_tel_number("+123")', "", "1"), ('is_tel_number("123")', "", "1"), ('is_tel_number("12-3")', "", "-2"), ('is_tel_number("")', "", "-2"), ('is_tel_number("+")', "", "-2"),
    ('is_tel_number("*1#a")', "", "-2"), ('is_tel_number("1e")', "", "-2"), ('is_tel_number("ABCD")', "", "-2"), ('is_numeric("123")', "", "1"), ('is_numeric("+123")', "", "-2"),
    ('is_numeric("")', "", "-2"), ('is_numeric("12a")', "", "-2"), ('is_alphanum("a1B")', "", "1"), ('is_alphanum("a-1")', "", "-3"), ('is_alphanum("")', "", "-2"),
    ('is_alphanumex("a-1", "-_")', "", "1"), ('is_alphanumex("a.1", "-_")', "", "-3"), ('is_alphanumex("", "-")', "", "-2"), ('is_alphanumex("a1", "")', "", "1"),
    ('cmp_uri("sip:a@b", "sip:a@B")', "", "1"), ('cmp_uri("sip:a@b", "sip:A@b")', "", "-1"), ('cmp_uri("sip:a@b:5060", "sip:a@b")', "", "-1"), ('cmp_uri("sip:a@b;x=1", "sip:a@b")', "", "1"),
    ('cmp_uri("sip:a@b;x=1", "sip:a@b;x=2")', "", "-1"), ('cmp_uri("sip:a@b;x=1;y=2", "sip:a@b;y=2;x=1")', "", "1"), ('cmp_uri("sip:a@b", "sips:a@b")', "", "-1"),
    ('cmp_uri("junk", "sip:a@b")', "", "-2"), ('cmp_uri("sip:a@b;user=phone", "sip:a@b")', "", "-1"), ('cmp_aor("sip:a@b", "sip:a@b:5060")', "", "1"),
    ('cmp_aor("sip:a@b;x=1", "sip:a@b")', "", "1"), ('cmp_aor("sip:a@b:5061", "sip:a@b")', "", "-1"), ('cmp_aor("sip:a@b", "sip:A@b")', "", "-1"),
    ('cmp_aor("sip:a@b", "sips:a@b")', "", "1"), ('cmp_aor("tel:+1", "tel:+1")', "", "1"), ('cmp_hdr_name("Call-ID", "i")', "", "1"), ('cmp_hdr_name("X-A", "x-a")', "", "1"),
    ('cmp_hdr_name("X-A", "X-B")', "", "-2"), ('cmp_hdr_name("From", "To")', "", "-1"), ('is_gruu("sip:a@b;gr=urn:x")', "", "1"), ('is_gruu("sip:a@b;gr")', "", "2"),
    ('is_gruu("sip:a@b")', "", "-1"), ("is_gruu()", "", "-1"), ('is_supported("path")', "", "1"), ('is_supported("gruu")', "", "-1"), ('is_supported("100rel")', "", "1"),
    ("is_first_hop()", "", "1"), ('is_first_hop("1")', "", "1"), ('is_user("alice")', "", "-1"), ('is_user("bob")', "", "-1"), ('hdr_date_check("10")', "", "-1"),
    ("is_rpid_user_e164()", "", "-1"), ('search("alice")', "", "1"), ('search("ALICE")', "", "1"), ('search("none-such")', "", "-1"), ('search("^From")', "", "1"),
    ('search_body("v=0")', "", "1"), ('search_body("From")', "", "-1"), ('search_hf("From", "alice", "a")', "", "1"), ('search_hf("X-Multi", "two", "a")', "", "1"),
    ('search_hf("X-Multi", "two", "f")', "", "-1"), ('search_hf("X-Multi", "two", "l")', "", "1"), ('is_method("MESSAGE")', "", "1"), ('is_method("INVITE|MESSAGE")', "", "1"),
    ('is_method("INVITE")', "", "-1"), ('is_method("message")', "", "1"), ('is_method("FOO")', "", "-1"), ("has_body()", "", "1"), ('has_body("application/sdp")', "", "1"),
    ('has_body("text/plain")', "", "-1"), ('has_body("application/*")', "", "-1"), ('in_list("b", "a,b,c", ",")', "", "1"), ('in_list("d", "a,b,c", ",")', "", "-1"),
    ('in_list("B", "a,b,c", ",")', "", "-1"), ('in_list("", "a,b", ",")', "", "-1"), ('in_list("b", "", ",")', "", "-1"), ('in_list("b", "a, b ,c", ",")', "", "1"),
    ('in_list("", "", ",")', "", "-1"), ('in_list("a", "a", ",")', "", "1"), ('in_list_prefix("bcd", "a,bc,c", ",")', "", "1"), ('in_list_prefix("x", "a,bc", ",")', "", "-1"),
    ('in_list_prefix("", "a", ",")', "", "-1"), ('cmp_str("a", "a")', "", "1"), ('cmp_str("a", "b")', "", "-2"), ('cmp_str("b", "a")', "", "-1"), ('cmp_str("a", "A")', "", "-1"),
    ('cmp_str("a", "ab")', "", "-2"), ('cmp_str("", "")', "", "1"), ('cmp_str("", "a")', "", "-2"), ('cmp_istr("a", "A")', "", "1"), ('cmp_istr("a", "b")', "", "-2"),
    ('starts_with("abc", "ab")', "", "1"), ('starts_with("abc", "AB")', "", "-1"), ('starts_with("abc", "")', "", "1"), ('starts_with("", "a")', "", "-1"),
    ('starts_with("abc", "abcd")', "", "-1"), ('starts_with("", "")', "", "1"), ('ends_with("abc", "bc")', "", "1"), ('ends_with("abc", "ab")', "", "-1"), ('ends_with("abc", "")', "", "1"),
    ('str_find("abc", "b")', "", "2"), ('str_find("abc", "x")', "", "-1"), ('str_ifind("abc", "B")', "", "2"), ('str_ifind("abc", "X")', "", "-1"), ('search_str("abc", "b.")', "", "1"),
    ('search_str("abc", "B")', "", "1"), ('search_str("abc", "x")', "", "-1"), ('regex_substring("abc123def", "[0-9]+", "0", "1", "$var(o)")', "$var(o)", "1 123"),
    ('regex_substring("abc", "[0-9]+", "0", "1", "$var(o)")', "$var(o)", "-2 unset"), ('regex_substring("ab12", "([a-z]+)([0-9]+)", "2", "3", "$var(o)")', "$var(o)", "1 12"),
    ('regex_substring("ab12", "([a-z]+)([0-9]+)", "5", "3", "$var(o)")', "$var(o)", "-1 unset"), ('is_present_hf("From")', "", "1"), ('is_present_hf("f")', "", "1"),
    ('is_present_hf("x-multi")', "", "1"), ('is_present_hf_re("^X-M")', "", "1"), ('is_present_hf_re("^X-Q")', "", "-1"), ('is_present_hf_pv("$hdr(X-Name)")', "", "1"),
    ('is_present_hf_re_pv("^X-M")', "", "1"), ('remove_hf("X-Multi")', "", "1"), ('remove_hf_re("^X-M")', "", "1"), ('remove_hf_re("^X-Q")', "", "-1"),
    ('remove_hf_pv("$hdr(X-Name)")', "", "1"), ('remove_hf_re_pv("^X-M")', "", "1"), ('remove_hf_exp("^X-M", "^X-Multi")', "", "-1"), ('remove_hf_exp("^X-Q", "z")', "", "-1"),
    ('remove_hf_exp_pv("^X-M", "z")', "", "1"), ('remove_hf_idx("X-Multi", "0")', "", "1"), ('remove_hf_idx("X-Multi", "-1")', "", "1"), ('remove_hf_idx("X-Multi", "9")', "", "2"),
    ('remove_hf_match("X-Multi", "eq", "two")', "", "1"), ('remove_hf_match("X-Multi", "eq", "z")', "", "-2"), ('remove_hf_match("X-Multi", "in", "w")', "", "1"),
    (r'append_hf("A: b\r\n")', "", "1"), (r'append_hf("A: b\r\n", "From")', "", "1"), (r'insert_hf("A: b\r\n")', "", "1"), (r'append_urihf("CC: ", "\r\n")', "", "1"),
    ('is_privacy("id")', "", "1"), ('is_privacy("none")', "", "-1"), ('is_privacy("header")', "", "-1"), ("is_audio_on_hold()", "", "2"), ("append_time()", "", "1"),
    ("append_time_to_request()", "", "1"), ('subst("/alice/bob/")', "", "1"), ('subst("/none-such/bob/")', "", "-1"),
    (r'subst_uri("/^sip:([0-9+]+)@(.*)$/sip:x\1@\2/i")', "$ru", "1 sip:x+1234@test.org;p=v;q"), ('subst_uri("/none-such/bob/")', "$ru", "-1 sip:+1234@test.org;p=v;q"),
    (r'subst_user("/^\+1/0/")', "$rU", "1 0234"), ('subst_user("/zzz/0/")', "$rU", "-1 +1234"), ('subst_body("/v=0/v=1/")', "", "1"), ('subst_body("/zzz/v=1/")', "", "-1"),
    ('subst_hf("X-Multi", "/two/2/", "a")', "", "1"), ('subst_hf("X-Multi", "/zzz/2/", "a")', "", "-1"), ('replace("alice", "bob")', "", "1"), ('replace("none-such", "bob")', "", "-1"),
    ('replace_all("alice", "bob")', "", "1"), ('replace_all("none-such", "bob")', "", "-1"), ('replace_body("v=0", "v=1")', "", "1"), ('replace_body("zzz", "v=1")', "", "-1"),
    ('replace_body_all("a=", "b=")', "", "1"), ('replace_body_atonce("^v.+t=", "x")', "", "1"), ('replace_hdrs("alice", "bob")', "", "1"), ('replace_hdrs("zzz", "bob")', "", "-1"),
    ('replace_str("alice", "bob", "f")', "", "1"), ('replace_str("zzz", "bob", "a")', "", "1"), ('replace_body_str("v=0", "v=1", "f")', "", "1"),
    ('replace_hdrs_str("alice", "bob", "a")', "", "1"), ('search_append("alice", "x")', "", "1"), ('search_append("zzz", "x")', "", "-1"), ('search_append_body("v=0", "x")', "", "1"),
    ('search_append_body("zzz", "x")', "", "-1"), ('set_body("x", "text/plain")', "", "1"), ('set_body("", "text/plain")', "", "-1"), ('set_reply_body("x", "text/plain")', "", "1"),
    ('filter_body("application/sdp")', "", "-1"), ('get_body_part("application/sdp", "$var(o)")', "$var(o)", "1 v=0"), ('remove_body_part("application/sdp")', "", "-1"),
    ("set_body_multipart()", "", "1"), ('append_body_part("x", "text/plain")', "", "-1"), ('is_maxfwd_lt("71")', "", "1"), ('is_maxfwd_lt("70")', "", "-1"), ('is_maxfwd_lt("0")', "", "-1"),
    ('maxfwd_process("10")', "", "1"), ('maxfwd_process("256")', "", "-1"), ('mf_process_maxfwd_header("70")', "", "1"), ('replace_str("zzz", "bob", "f")', "", "1"),
    ('replace_body_str("zzz", "v=1", "f")', "", "1"), ('replace_body_str("zzz", "v=1", "a")', "", "1"), ('replace_hdrs_str("zzz", "bob", "a")', "", "1"),
    ('replace_hdrs_str("zzz", "bob", "f")', "", "1"), ('get_body_part("application/sdp", "$var(o)")', "[$(var(o){s.len})]", "1 [99]"),
    ('get_body_part_raw("application/sdp", "$var(o)")', "[$(var(o){s.len})]", "1 [99]"), ('filter_body("text/none")', "", "-1"), ('remove_body_part("text/none")', "", "-1"),
    ('remove_hf_match("X-Multi", "ne", "one")', "", "1"), ('remove_hf_match("X-Multi", "re", "^t")', "", "1"), ('remove_hf_match("X-Multi", "in", "q")', "", "-2"),
    ('remove_hf_match("X-Multi", "re", "q")', "", "-2"), ('str_find("abc", "a")', "", "1"), ('str_find("abc", "c")', "", "3"), ('str_find("", "a")', "", "-1"), ('str_find("", "")', "", "1"),
    ('str_ifind("abc", "")', "", "1"), ('str_ifind("ABC", "bc")', "", "2"), ('cmp_istr("a", "AB")', "", "-2"), ('cmp_istr("b", "A")', "", "-1"), ('cmp_istr("", "")', "", "1"),
    ('cmp_str("b", "")', "", "-1"), ('cmp_str("ab", "a")', "", "-1"), ('is_tel_number("+1+2")', "", "-2"), ('is_tel_number("12+")', "", "-2"), ('cmp_uri("sip:a@b", "junk")', "", "-2"),
    ('cmp_uri("", "sip:a@b")', "", "-2"), ('cmp_aor("junk", "sip:a@b")', "", "-2"), ('cmp_aor("sip:a@b", "junk")', "", "-2"), ('cmp_aor("sip:a@b", "tel:a")', "", "-1"),
    ('cmp_aor("sip:a@b", "sip:b@b")', "", "-1"), ('cmp_aor("sip:a@b:5061", "sips:a@b")', "", "-1"), ('cmp_aor("sip:a@b;transport=tls", "sip:a@b:5061")', "", "-1"),
    ('cmp_aor("sip:a@B", "sip:a@b")', "", "1"), ('cmp_uri("sip:a@b:5060;transport=udp", "sip:a@b;transport=udp")', "", "-1"), ('cmp_hdr_name("From", "f")', "", "1"),
    ('cmp_hdr_name("f", "From")', "", "1"), ('cmp_hdr_name("", "f")', "", "-2"), ('cmp_hdr_name("From", "X")', "", "-1"), ('cmp_hdr_name("X", "From")', "", "-1"),
    ('regex_substring("ab12", "([a-z]+)([0-9]+)", "1", "1", "$var(o)")', "$var(o)", "-1 unset"), ('regex_substring("ab12", "([a-z]+)([0-9]+)", "0", "3", "$var(o)")', "$var(o)", "1 ab12"),
    ('regex_substring("ab12", "([a-z]+)([0-9]+)", "3", "3", "$var(o)")', "$var(o)", "-1 unset"), ('regex_substring("ab", "([a-z]+)([0-9]+)?", "2", "3", "$var(o)")', "$var(o)", "-1 unset"),
    ('set_reply_body("", "text/plain")', "", "-1"), ('set_body("x", "")', "", "-1"), ('sip_p_charging_vector("r")', "", "1"),
]
OURS = [
    ('tel2sip2("tel:+1-201-555-0123", "h.org", "$var(o)")', "$var(o)", "1 sip:+12015550123@h.org;user=phone"),
    ('tel2sip2("tel:+12;x=1", "h.org", "$var(o)")', "$var(o)", "1 sip:+12;x=1@h.org;user=phone"), ('cmp_uri("sip:a@b;transport=udp", "sip:a@b")', "", "-1"),
    ('cmp_uri("sip:%61@b", "sip:a@b")', "", "1"), ('set_uri_user("$var(u)", "bob")', "$var(u)", "1 sip:bob@test.org:5070;x=y"),
    ('set_uri_host("$var(u)", "h.org")', "$var(u)", "1 sip:alice@h.org:5070;x=y"), ('sip_p_charging_vector("g")', "", "4"), ('contact_param_check("x")', "", "1"),
    ('contact_param_check("none")', "", "-1"), ('str_find("abc", "")', "", "1"), ('str_any_in("abc", "xbz")', "", "1"), ('str_any_in("abc", "xyz")', "", "-1"),
    ('str_any_in("", "a")', "", "-1"), ('str_any_in("a", "")', "", "-1"), ('str_all_in("abc", "cba")', "", "1"), ('str_all_in("abc", "cb")', "", "-1"), ('str_all_in("", "a")', "", "-1"),
    ('str_all_in("a", "")', "", "-1"), ('subst_v("abc", "/b/x/", "$var(o)")', "$var(o)", "1 axc"), ('subst_v("abc", "/z/x/", "$var(o)")', "$var(o)", "-1 unset"),
    ('get_body_part("text/none", "$var(o)")', "", "-1"), ('via_param_rm("rport", "0")', "", "1"), ('via_param_rm("zzz", "0")', "", "-1"),
    ('get_body_part("text/none", "$var(o)")', "[$(var(o){s.len})]", "-1 [5]"), ('get_body_part_raw("text/none", "$var(o)")', "[$(var(o){s.len})]", "-1 [5]"),
    ('cmp_uri("sip:a@b;transport=tcp", "sip:a@b")', "", "-1"), ('sip_p_charging_vector("f")', "", "4"),
]


def script(rows):
    text = HEAD
    for n, (call, shown, _) in enumerate(rows):
        text += f'\tcase "{n}":\n\t\t{call};\n\t\tappend_to_reply("X-Rc: $rc {shown}\\r\\n");\n\t\tbreak;\n'
    return text + '\t}\n\tsl_send_reply("200", "Done");\n}\n'


def run(r, ctx):
    rows = BOTH + ([] if "kamailio" in ctx.program else OURS)
    path = os.path.join(tempfile.mkdtemp(prefix="ringfort-functions-"), "server.cfg")
    with open(path, "w") as f:
        f.write(script(rows))
    with sip.Server(ctx.program, path, args=ctx.args) as server:
        ua = sip.Ua(server.host, server.port, user="alice")
        for n, (call, _, want) in enumerate(rows):
            ua.send(ua.request("MESSAGE", "sip:+1234@test.org;p=v;q", "<sip:b@test.org>;tag=1", frm="Alice <sip:alice@test.org>", headers=[f"X-N: {n}"] + FIELDS, body=SDP, contact=False))
            got = ua.expect(lambda m: m.status is not None)
            rc = (got and got.get("X-Rc") or "").strip()
            r.check(f"core/06-functions {call}", rc == want, f"{rc!r} instead of {want!r}")
        ua.close()
    os.unlink(path)
    os.rmdir(os.path.dirname(path))
