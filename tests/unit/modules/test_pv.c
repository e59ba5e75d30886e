/* SPDX-License-Identifier: BSD-2-Clause */
/* Module pv: (message, expression -> value) tables, transformations, assignments and what they change in the message. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/pv/fmt.h"
#include "core/settings/cfg.h"
#include "modules/pv/pv_priv.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

extern const struct module module_pv;

static struct ctx *ctx;

static const char invite[] =
	"INVITE sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi SIP/2.0\r\n"
	"Via: SIP/2.0/TCP 10.0.0.1:5062;branch=z9hG4bKa;rport, SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKb;received=10.0.0.9;i=7\r\n"
	"v: SIP/2.0/UDP last.example.net;branch=z9hG4bKc\r\n"
	"From: \"Alice A\" <sip:alice@atlanta.example.com;user=phone>;tag=1928\r\n"
	"To: Bob <sip:bob@biloxi.example.com>\r\n"
	"Call-ID: a84b4c76e66710@pc33\r\n"
	"CSeq: 314159 INVITE\r\n"
	"m: <sip:alice@10.0.0.1:5062>;expires=60;q=0.5, \"B\" <sip:alice@10.0.0.2>;expires=30\r\n"
	"Max-Forwards: 70\r\n"
	"User-Agent: Phone 1.0\r\n"
	"X-Test: one\r\n"
	"x-test: two, three\r\n"
	"X-Empty:\r\n"
	"P-Asserted-Identity: <sip:pai1@x>, <tel:+123>\r\n"
	"P-Preferred-Identity: \"PPI\" <sip:ppi@y>\r\n"
	"Diversion: <sip:div@z>;reason=no-answer;privacy=off;counter=2\r\n"
	"Refer-To: <sip:ref@r>\r\n"
	"Remote-Party-ID: <sip:rpid@r>\r\n"
	"Proxy-Authorization: Digest username=\"carol@chi.example\", realm=\"r1\", nonce=\"n1\", uri=\"sip:u\", response=\"00ff\", algorithm=MD5, "
	"cnonce=\"cn\", opaque=\"op\", qop=auth, nc=00000001\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 20\r\n"
	"\r\n"
	"v=0\r\ns=call\r\nt=0 0\r\n";

static const char reply[] =
	"SIP/2.0 183 Session Progress\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
	"Via: SIP/2.0/UDP 10.0.0.5:5066;branch=z9hG4bKb;received=10.0.0.6;rport=6000\r\n"
	"Record-Route: <sip:a;lr>, <sip:b;lr>\r\n"
	"From: <sip:alice@a>;tag=1\r\n"
	"To: <sip:bob@b>;tag=2\r\n"
	"Call-ID: x\r\n"
	"CSeq: 7 BYE\r\n"
	"Contact: *\r\n"
	"Content-Length: 0\r\n"
	"\r\n";

static const char bare[] =
	"OPTIONS tel:+1234 SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
	"From: sip:alice@a;tag=1\r\n"
	"To: <sips:[2001:db8::1]:5071;transport=tls>\r\n"
	"Call-ID: x\r\n"
	"CSeq: 7 OPTIONS\r\n"
	"Expires: 120\r\n"
	"\r\n";

/* clang-format off */
static const struct vector { const char *msg, *in, *out; } vectors[] = {
	/* first line */
	{ invite, "$rm $rmid", "INVITE 1" },
	{ invite, "$ru", "sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi" },
	{ invite, "$(ruri.user)|$rU|$rd|$rp|$rP|$rz|$rul|$rUl", "bob|bob|example.com|5070|tcp|sip|56|3" },
	{ invite, "$ou|$oU|$od|$op|$oP|$oUl", "sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi|bob|example.com|5070|tcp|3" },
	{ invite, "$rv|$rs|$rsi|$rr|$mt|$mts", "SIP/2.0|<null>|0|<null>|1|rq" },
	{ invite, "$du|$dd|$dp|$dP", "<null>|<null>|<null>|<null>" },
	{ invite, "$nh(u)|$nh(U)|$nh(d)|$nh(p)|$nh(P)|$nh(i)", "sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi|bob|example.com|5070|tcp|0" },
	{ invite, "$ds", "<null>" },
	{ reply,  "$rm|$rmid|$ru|$rU|$ou", "BYE|8|<null>|<null>|<null>" },
	{ reply,  "$rs|$rsi|$rr|$mt|$mts", "183|183|Session Progress|2|rp" },
	{ reply,  "$nh(u)|$nh(d)|$nh(p)|$nh(i)", "sip:10.0.0.6:6000;transport=udp|10.0.0.6|6000|4" },
	{ reply,  "$rpl(duri)|$rpl(dhost)|$rpl(dport)|$rpl(dproto)|$rpl(dprotoid)|$rpl(cntvia)|$rpl(cntrr)", "sip:10.0.0.6:6000;transport=udp|10.0.0.6|6000|udp|1|2|2" },
	{ invite, "$rpl(duri)", "<null>" },
	{ bare,   "$ru|$rU|$rd|$rz|[$rp]", "tel:+1234|+1234|<null>|tel|[5060]" },
	/* From, To */
	{ invite, "$fu|$(from.user)|$fU|$fd|$fn|$ft|$ful|$fUl", "sip:alice@atlanta.example.com;user=phone|alice|alice|atlanta.example.com|\"Alice A\"|1928|40|5" },
	{ invite, "$tu|$tU|$td|$tn|$tt|$tts|$tUl", "sip:bob@biloxi.example.com|bob|biloxi.example.com|Bob|<null>|0|3" },
	{ reply,  "$tt|$tts", "2|1" },
	{ bare,   "$fu|$ft|$fn|$tU|$td", "sip:alice@a|1|<null>|<null>|[2001:db8::1]" },
	/* others */
	{ invite, "$ci|$cs|$csb|$cT|$cl|$bs|$ua", "a84b4c76e66710@pc33|314159|314159 INVITE|application/sdp|20|20|Phone 1.0" },
	{ invite, "$rb", "v=0\r\ns=call\r\nt=0 0\r\n" },
	{ bare,   "$rb|$bs|$cl|$cT|$ct|$cts|$ua", "<null>|0|<null>|<null>|<null>|<null>|<null>" },
	{ invite, "$ctu|$cts", "sip:alice@10.0.0.1:5062|0" },
	{ reply,  "$ct|$ctu|$cts", "*|<null>|1" },
	{ invite, "$ai|$(ai[1])|$(ai[2])|$pu|$pU|$pd|$pn", "sip:pai1@x|tel:+123|<null>|sip:ppi@y|ppi|y|\"PPI\"" },
	{ invite, "$di|$dir|$dip|$dic|$rt|$re", "sip:div@z|no-answer|off|2|sip:ref@r|sip:rpid@r" },
	{ invite, "$expires(min)|$expires(max)", "30|60" },
	{ bare,   "$expires(min)|$expires(max)", "120|120" },
	{ reply,  "$expires(min)", "<null>" },
	/* headers */
	{ invite, "$hdr(X-Test)|$(hdr(x-tEST)[1])|$(hdr(X-Test)[-1])|$(hdr(X-Test)[-2])|$(hdr(X-Test)[2])|$(hdr(X-Test)[-3])", "one|two, three|two, three|one|<null>|<null>" },
	{ invite, "$(hdr(X-Test)[*])", "one,two, three" },
	{ invite, "[$hdr(X-Empty)]|$hdr(Nope)|$(hdr(Nope)[*])", "[]|<null>|<null>" },
	{ invite, "$hdr(Contact)", "<sip:alice@10.0.0.1:5062>;expires=60;q=0.5, \"B\" <sip:alice@10.0.0.2>;expires=30" },
	{ invite, "$(hdr(Via)[1])|$hdr(V)", "SIP/2.0/UDP last.example.net;branch=z9hG4bKc|SIP/2.0/TCP 10.0.0.1:5062;branch=z9hG4bKa;rport, SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKb;received=10.0.0.9;i=7" },
	{ invite, "$hdrc(X-Test)|$hdrc(Via)|$hdrc(Nope)|$hdrc(*)", "2|2|0|20" },
	{ invite, "$hflc(Via)|$hflc(Contact)|$hflc(X-Test)|$hflc(P-Asserted-Identity)", "3|2|2|2" },
	{ invite, "$(hfl(Via)[-1])|$(hfl(Contact)[1])|$(hfl(X-Test)[1])", "SIP/2.0/UDP last.example.net;branch=z9hG4bKc|\"B\" <sip:alice@10.0.0.2>;expires=30|two, three" },
	{ invite, "$via0(host)|$via0(port)|$via0(proto)|$via0(protoid)|$via0(branch)|$via0(rport)|$via0(received)", "10.0.0.1|5062|TCP|2|z9hG4bKa|<null>|<null>" },
	{ invite, "$via1(host)|$via1(port)|$via1(received)|$via1(i)|$via1(oc)", "[2001:db8::9]|5060|10.0.0.9|7|<null>" },
	{ invite, "$viaZ(host)|$viaZ(params)", "last.example.net|branch=z9hG4bKc" },
	{ invite, "$msg(hdrc)|$msg(fline)|$msg(body_len)|$(msg(len))", "20|INVITE sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi SIP/2.0|20|1021" },
	{ invite, "$(mb{s.len})|$ml|$(mbu{s.len})|$(msg(fpart){s.len})|$msg(hdrs_len)", "1021|1021|1021|997|924" },
	{ invite, "$msgbuf(1)|$msgbuf(99999)", "N|<null>" },
	/* credentials */
	{ invite, "$au|$aU|$ad|$ar|$adu|$aa|$adn|$adc|$adr|$ado", "carol|carol@chi.example|chi.example|r1|sip:u|MD5|n1|cn|00ff|op" },
	{ bare,   "$au|$ar", "<null>|<null>" },
	{ invite, "$AU|$Au", "alice|alice@atlanta.example.com" },
	/* network */
	{ invite, "$si|$siz|$sp|$su|$sut|$sas", "192.0.2.7|192.0.2.7|5099|sip:192.0.2.7:5099|sip:192.0.2.7:5099;transport=udp|udp:192.0.2.7:5099" },
	{ invite, "$pr|$proto|$prid|$conid", "udp|udp|1|<null>" },
	{ invite, "$fs|$fsn|$fsp|$sndto(ip)|$sndfrom(port)|$(rcv(buf))", "<null>|<null>|0|<null>|<null>|<null>" },
	{ invite, "$K(UDP) $K(WSS) $K(IPv4) $K(INET6)", "1 6 2 10" },
	/* flags, branches */
	{ invite, "$mf|$mF|$Mf(3)|$bf|$bF|$Bf(1)|$sf|$sF|$Sf(0)", "0|00000000|0|0|00000000|0|0|00000000|0" },
	{ invite, "$br|$bR|$branch(count)|[$branch(uri)]|$ruid|$location_ua|$sbranch(uri)", "<null>|<null>|<null>|[<null>]|<null>|<null>|<null>" },
	/* memory */
	{ invite, "$var(pvt)|$vz(pvt)|$vn(pvt)|$avp(pvt)|$xavp(pvt)|$xavp(pvt=>f)|$xavi(p)|$xavu(p)", "0|0|<null>|<null>|<null>|<null>|<null>|<null>" },
	{ invite, "$_s(sip:$rU@$rd)", "sip:bob@example.com" },
	{ invite, "$(_s($rU){s.len})", "3" },
	{ invite, "$true|$null|$$|$err.class", "1|<null>|$|<null>" },
	{ invite, "$shv(none)|$cnt($avp(x))|$cnt($xavp(x=>y))", "0|0|0" },
	{ invite, "$Ec$Eq$Ek$Ei$Ej$Eb$Ev$Es$Et$En$Er", ",\"':;\\` \t\n\r" },
	/* time: the message came at 1000000000 */
	{ invite, "$Ts|$utime(year)|$utime(mon)|$utime(mday)|$utime(hour)|$utime(wday)|$utime(yday)", "1000000000|2001|9|9|1|1|252" },
	{ invite, "$utimef(%Y-%m-%d %H:%M:%S)|$TV(s)|$TV(u)", "2001-09-09 01:46:40|1000000000|5" },
	{ invite, "$version(num)|$ksr(verval)", "6.2.0|6002000" },
	/* selects */
	{ invite, "$sel(contact.uri.host)|$sel(contact.uri.port)|$sel(contact.uri.user)|$sel(contact.expires)|$sel(contact.q)", "10.0.0.1|5062|alice|60|0.5" },
	{ invite, "$sel(contact[1].name)|$sel(contact)", "\"B\"|<sip:alice@10.0.0.1:5062>;expires=60;q=0.5, \"B\" <sip:alice@10.0.0.2>;expires=30" },
	{ invite, "$sel(via[2].branch)|$sel(via[-1].host)|$sel(v.transport)|$sel(via[1].port)|$sel(via[0].port)", "z9hG4bKb|last.example.net|TCP|5062|<null>" },
	{ invite, "$sel(ruri.params.x)|$sel(ruri.hostport)|$sel(from.uri.user)|$sel(f.tag)|$sel(t.name)", "1|example.com:5070|alice|1928|Bob" },
	{ invite, "$sel(msg.header[\"X-Test\"][1])|$sel(msg.h[\"X-Test\"])|$sel(msg.first_line)", "two, three|one|INVITE sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi SIP/2.0" },
	{ invite, "$sel(msg.req.uri.user)|$sel(msg.body.sdp.line[\"s\"])|$sel(method)|$sel(cseq.num)|$sel(call_id)", "bob|call|INVITE|314159|a84b4c76e66710@pc33" },
	{ invite, "$sel(proxy_authorization[\"r1\"].username.user)|$sel(proxy_authorization[\"zz\"].nonce)|$sel(src.ip_port)", "carol|<null>|192.0.2.7:5099" },
	{ reply,  "$sel(status)|$sel(reason)|$sel(msg.response.code)|$sel(ruri)|$sel(rr[1].uri)", "183|Session Progress|183|<null>|sip:b;lr" },
	/* {s.*} */
	{ invite, "$(rU{s.len})$(rU{s.toupper})$(rU{s.charat,1})$(rU{s.byteat,0})[$(rU{s.charat,9})]$(rU{s.byteat,9})", "3BOBo98[]-1" },
	{ invite, "[$(null{s.len})]", "[]" },
	{ invite, "$(_s(12){s.int})|[$(_s(1x){s.int})]|$(_s(-7){s.int})", "12|[]|-7" },
	{ invite, "$(_s(a){s.md5})|$(_s(a){s.sha1})", "0cc175b9c0f1b6a831c399e269772661|86f7e437faa5a7fce15d1ddcb9eaeaea377667b8" },
	{ invite, "$(_s(a){s.sha256})", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" },
	{ invite, "$(_s(a){s.sha3})", "80084bf2fba02475726feb2cab2d8215eab14bc6bdd8bfb2c8151257032ecd8b" },
	{ invite, "$(_s(a){s.keccak})", "3ac225168df54212a25c1c01fd35bebfea408fdac2e31ddd6f80a4bbf9a5f1cb" },
	{ invite, "$(_s(a){s.keccak,512}{s.len})|$(_s(123456789){s.crc32})", "128|3421780262" },
	{ invite, "$(_s(abcdef){s.substr,2,3})|$(_s(abcdef){s.substr,-2,0})|$(_s(abcdef){s.substr,4,9})|[$(_s(abc){s.substr,3,1})]|[$(_s(abc){s.substr,-4,1})]", "cde|ef|ef|[]|[]" },
	{ invite, "$(_s(a,b,c){s.select,1,,})|$(_s(a,b,c){s.select,-1,,})|[$(_s(a,b){s.select,5,,})]|$(_s(a b){s.select,1, })|$(_s(a b){s.select,1,\\s})", "b|c|[]|b|b" },
	{ invite, "$(_s(a:b:c){s.select,0,:})|$(_s(a b){s.selectsw,0})", "a|a" },
	{ invite, "$(_s(abc){s.strip,1})|$(_s(abc){s.strip,0})|[$(_s(abc){s.strip,9})]|$(_s(abc){s.striptail,1})|$(_s(abc){s.stripto,b})|[$(_s(abc){s.stripto,x})]", "bc|abc|[]|ab|bc|[]" },
	{ invite, "$(_s(abc){s.prefixes})|$(_s(abc){s.prefixes,2})|$(_s(abc){s.prefixes.quoted,2})", "a,ab,abc|a,ab|'a','ab'" },
	{ invite, "$(_s(abab){s.replace,a,xy})|$(_s(abab){s.replace,a,})|$(_s(abab){s.rm,b})", "xybxyb|bb|aa" },
	{ invite, "[$(_s( a ){s.trim})][$(_s( a ){s.ltrim})][$(_s( a ){s.rtrim})][$(_s( a b ){s.rmws})]", "[a][a ][ a][ab]" },
	{ invite, "$(_s(a@b@c){s.before,@})|$(_s(a@b@c){s.after,@})|$(_s(a@b@c){s.rbefore,@})|$(_s(a@b@c){s.rafter,@})|$(_s(a){s.before,@})|[$(_s(a){s.after,@})]", "a|b@c|a@b|c|a|[]" },
	{ invite, "$(_s(a,b,c){s.count,,})|$(_s(a1b2){s.numeric})|$(fn{s.unquote})|$(_s(<a>){s.unbracket})", "2|12|Alice A|a" },
	{ invite, "$(_s(0){s.ftime,%Y})", "1970" },
	{ invite, "$(_s(ab){s.encode.hexa})|$(_s(6162){s.decode.hexa})|[$(_s(6x){s.decode.hexa})]", "6162|ab|[]" },
	{ invite, "$(_s(ab){s.encode.base64})|$(_s(YWI=){s.decode.base64})|$(_s(ab){s.encode.base64t})|$(_s(YWI){s.decode.base64t})", "YWI=|ab|YWI|ab" },
	{ invite, "$(_s(a>b?){s.encode.base64url})|$(_s(YT5iPw==){s.decode.base64url})|$(_s(hello){s.encode.base58})|$(_s(Cn8eVZg){s.decode.base58})", "YT5iPw==|a>b?|Cn8eVZg|hello" },
	{ invite, "$(_s(hello){s.encode.7bit})|$(_s(e8329bfD06){s.decode.7bit})|$(_s(e8329){s.decode.7bit})", "E8329BFD06|hello|" },
	{ invite, "$(_s(a'b\"){s.escape.common})|$(_s(a\\'b){s.unescape.common})", "a\\'b\\\"|a'b" },
	{ invite, "$(_s(a b@c){s.escape.user})|$(_s(a%20b%40c){s.unescape.user})|$(_s(a=b){s.escape.param})", "a%20b%40c|a b@c|a%3Db" },
	{ invite, "$(_s(a b&c){s.urlencode.param})|$(_s(a+b%26c){s.urldecode.param})|$(_s(a\"b){s.escape.csv})", "a+b%26c|a b&c|\"a\"\"b\"" },
	{ invite, "$(rb{s.escape.crlf})", "v=0\\r\\ns=call\\r\\nt=0 0\\r\\n" },
	{ invite, "$(_s(abcde){s.fmtlines,2,1})", "ab\r\n cd\r\n e" },
	/* {uri.*} and so on */
	{ invite, "$(ru{uri.user})|$(ru{uri.host})|$(ru{uri.domain})|$(ru{uri.passwd})|$(ru{uri.port})|$(ru{uri.params})|$(ru{uri.headers})|$(ru{uri.transport})|$(ru{uri.scheme})", "bob|example.com|example.com|pw|5070|transport=tcp;x=1|Subject=hi|tcp|sip" },
	{ invite, "$(ru{uri.param,X})|[$(ru{uri.param,no})]|$(ru{uri.rmparam,transport})|$(ru{uri.saor})|$(ru{uri.suri})|$(ru{uri.duri})", "1|[]|sip:bob:pw@example.com:5070;x=1?Subject=hi|sip:bob@example.com|sip:bob@example.com:5070;transport=tcp|sip:example.com:5070;transport=tcp" },
	{ invite, "$(ru{uri.tosocket})|[$(fu{uri.port})]|$(_s(sip:a@b;){uri.host})|[$(_s(nonsense){uri.host})]", "tcp:example.com:5070|[]|b|[]" },
	{ invite, "$(_s(a=1;b=\"x;y\";c){param.value,b})|$(_s(a=1;b=2;c){param.count})|$(_s(a=1;b=2;c){param.name,-1})|$(_s(a=1;b=2){param.valueat,1})|$(_s(a=1){param.in,A})|$(_s(a=1,b=2){param.value,b,,})", "x;y|3|c|2|1|2" },
	{ invite, "[$(_s(a=1;){param.value,z})]$(_s(a=1;b=2;){param.count})", "[]2" },
	{ invite, "$(hdr(From){nameaddr.uri})|$(hdr(From){nameaddr.name})|$(hdr(From){nameaddr.len})|$(ru{nameaddr.uri})", "sip:alice@atlanta.example.com;user=phone|\"Alice A\"|52|sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi" },
	{ invite, "$(hdr(From){tobody.uri})|$(hdr(From){tobody.tag})|$(hdr(From){tobody.display})|$(hdr(From){tobody.user})|$(hdr(From){tobody.host})|$(hdr(From){tobody.params})", "sip:alice@atlanta.example.com;user=phone|1928|\"Alice A\"|alice|atlanta.example.com|tag=1928" },
	{ invite, "$(rb{line.at,1})|$(rb{line.at,-1})|[$(rb{line.at,7})]|$(rb{line.sw,t=})|[$(rb{line.sw,z})]|$(rb{line.count})", "s=call|t=0 0|[]|t=0 0|[]|3" },
	{ invite, "$(_s(sip:1.2.3.4:5062;transport=tls){urialias.encode})|$(_s(alias=1.2.3.4~5062~3){urialias.decode})|[$(_s(zz){urialias.decode})]", "1.2.3.4~5062~3|sip:1.2.3.4:5062;transport=tls|[]" },
	{ invite, "$(null{val.n0})[$(null{val.ne})]$(fn{val.json})$(null{val.jsonqe})$(rs{val.jsonqe})", "0[]\\\"Alice A\\\"\"\"\"\"" },
	{ invite, "$(ml{num.fdigit})$(ml{num.ldigit})$(rU{num.ldigit})", "110" },
};

static const struct { const char *in, *reason; } refused[] = {
	{ "$nosuch", "unknown" }, { "$via0(zzz)", "there are:" }, { "$sel(zzz)", "is unknown" }, { "$sel(contact.zzz)", "is unknown" },
	{ "$sel(ruri.zzz)", "is unknown" }, { "$Mf(40)", "neither" }, { "$Mf(zzz)", "neither" }, { "$(rU{s.substr,a,b})", "no number" },
	{ "$(rU{s.substr,0,-1})", "parameter 2 is negative" }, { "$(rU{s.charat,-1})", "parameter 1 is negative" }, { "$(rU{s.fmtlinet,8,-1})", "parameter 2 is negative" },
	{ "$(rU{s.sha3,123})", "bits" }, { "$cnt($var(x))", "takes $avp" }, { "$xavu(a[0])", "no index" }, { "$xavp(a=>)", "name is missing" },
	{ "$(rU{s.lne})", "did you mean '{s.len}'" },
};
/* clang-format on */

static struct ctx *ctx_of(const char *bytes)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = NET_LISTENER_NONE, .wall_s = 1000000000, .wall_us = 5 };

	ck_assert_int_eq(net_addr_parse(STR_LIT("192.0.2.7"), 5099, &rx.src), 0);
	ctx = ctx_from_bytes(str_lit(bytes), &rx);
	ck_assert(ctx);
	return ctx;
}

static void once(void)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(ctx_pool_init(64), 0);
	ck_assert_int_eq(cfg_declare(STR_LIT("voicemail"), 0, STR_LIT("srv_ip"), false, 0, STR_LIT("192.0.2.1"), STR_NULL), 0);
	ck_assert_int_eq(cfg_declare(STR_LIT("voicemail"), 0, STR_LIT("srv_port"), true, 5066, STR_NULL, STR_NULL), 0);
	ck_assert_int_eq(cfg_share(), 0);
	ck_assert_int_eq(pv_core_register(), 0);
	ck_assert_int_eq(pv_register(module_pv.pvs), 0);
	ck_assert_int_eq(trans_register(module_pv.trans), 0);
	ck_assert_int_eq(module_pv.load(), 0);
	ck_assert_int_eq(module_pv.init(), 0);
	shm_slot_release();
}

static void slot(void)
{
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
}

static void cleanup(void)
{
	if (ctx)
		ctx_free(ctx);
	ctx = NULL;
}

static void done(void)
{
	cleanup();
	shm_slot_release();
}

static struct str eval(const char *text)
{
	struct diag d = { 0 };
	struct fmt *f;
	struct str out;

	ck_assert_msg(fmt_compile(ctx->pool, str_lit(text), &f, &d) == 0, "%s: %s", text, d.text);
	ck_assert_int_eq(fmt_eval(ctx, f, &out), 0);
	return out;
}

static void expect(const char *text, const char *want)
{
	struct str out = eval(text);

	ck_assert_msg(str_eq(out, str_lit(want)), "%s:\n'%.*s' instead of\n'%s'", text, STR_FMT(out), want);
}

static int assign(const char *var, struct value v)
{
	struct diag d = { 0 };
	struct pv_spec *spec;
	size_t len;

	ck_assert_msg(pv_parse(ctx->pool, str_lit(var), &spec, &len, &d) == 0, "%s: %s", var, d.text);
	ck_assert_uint_eq(len, strlen(var));
	return pv_set(ctx, spec, &v);
}

static int set_s(const char *var, const char *text)
{
	return assign(var, value_str(str_lit(text)));
}

static int set_i(const char *var, int64_t i)
{
	return assign(var, value_int(i));
}

static int set_null(const char *var)
{
	return assign(var, value_null());
}

START_TEST(values)
{
	ctx_of(vectors[_i].msg);
	expect(vectors[_i].in, vectors[_i].out);
}
END_TEST

START_TEST(refusals)
{
	struct diag d = { 0 };
	struct fmt *f;

	ctx_of(bare);
	ck_assert_int_lt(fmt_compile(ctx->pool, str_lit(refused[_i].in), &f, &d), 0);
	ck_assert_msg(strstr(d.text, refused[_i].reason) != NULL, "%s: %s", refused[_i].in, d.text);
}
END_TEST

START_TEST(request_uri)
{
	ctx_of(invite);
	ck_assert_int_eq(set_s("$rU", "carol"), 0);
	expect("$ru", "sip:carol:pw@example.com:5070;transport=tcp;x=1?Subject=hi");
	ck_assert_int_eq(set_s("$rd", "other.org"), 0);
	ck_assert_int_eq(set_i("$rp", 5080), 0);
	expect("$rU|$rd|$rp|$ou", "carol|other.org|5080|sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi");
	ck_assert_int_eq(set_null("$rp"), 0);
	expect("$rp", "5060");
	ck_assert_int_eq(set_s("$ru", "sip:x@y"), 0);
	expect("$ru|$sel(ruri.user)", "sip:x@y|x");
	ck_assert_int_eq(set_null("$rU"), 0);
	expect("$ru|$rU", "sip:y|<null>");
	ck_assert_int_lt(set_null("$ru"), 0);
	ck_assert_int_lt(set_null("$rd"), 0);
	ck_assert_int_eq(set_s("$du", "sip:1.2.3.4:5066;transport=tls"), 0);
	expect("$du|$dd|$dp|$dP|$nh(d)|$nh(i)", "sip:1.2.3.4:5066;transport=tls|1.2.3.4|5066|tls|1.2.3.4|4");
	ck_assert_int_lt(set_s("$du", ""), 0);
	ck_assert_int_eq(set_null("$du"), 0);
	expect("$du", "<null>");
}
END_TEST

START_TEST(from_and_to)
{
	ctx_of(invite);
	ck_assert_int_eq(set_s("$fU", "zoe"), 0);
	ck_assert_int_eq(set_s("$fd", "new.org"), 0);
	ck_assert_int_eq(set_s("$fn", "\"Zoe\""), 0);
	expect("$fU|$fn", "alice|\"Alice A\"");
	ck_assert_int_eq(set_null("$tn"), 0);
	ck_assert_int_eq(set_s("$tu", "sip:nobody@nowhere"), 0);
	expect("$(mbu{line.sw,From})|$(mbu{line.sw,To})", "From: \"Zoe\" <sip:zoe@new.org;user=phone>;tag=1928|To: <sip:nobody@nowhere>");
	ck_assert_int_lt(set_null("$fd"), 0);
	ck_assert_int_eq(set_null("$fu"), 0);
	cleanup();
	ctx_of(bare);
	ck_assert_int_eq(set_null("$fU"), 0);
	expect("$(mbu{line.sw,From})", "From: <sip:a>;tag=1");
	ck_assert_int_eq(set_s("$fU", "q"), 0);
	expect("$(mbu{line.sw,From})", "From: <sip:q@a>;tag=1");
}
END_TEST

START_TEST(flags)
{
	ctx_of(invite);
	ck_assert_int_eq(set_i("$mf", 0x1f), 0);
	ck_assert_int_eq(set_i("$Mf(0)", 0), 0);
	ck_assert_int_eq(set_i("$Mf(31)", 1), 0);
	expect("$mf|$mF|$Mf(31)|$Mf(0)", "2147483678|8000001e|1|0");
	ck_assert_int_eq(set_null("$Mf(2)"), 0);
	expect("$mf", "0");
	ck_assert_int_eq(set_i("$bf", 6), 0);
	ck_assert_int_eq(set_i("$sf", 1), 0);
	expect("$bF|$Sf(0)", "00000006|1");
}
END_TEST

START_TEST(branches)
{
	ctx_of(invite);
	ck_assert_int_eq(set_s("$br", "sip:one@x"), 0);
	ck_assert_int_eq(set_s("$br", "sip:two@x"), 0);
	expect("$(branch(q)[1])|$(branch(q)[7])|$sbranch(q)", "<null>|<null>|<null>");
	ck_assert_int_eq(set_i("$(branch(q)[1])", 500), 0);
	expect("$(branch(q)[1])", "500");
	ck_assert_int_eq(set_s("$(branch(dst_uri)[-1])", "sip:9.9.9.9"), 0);
	expect("$branch(count)|$br|$bR", "2|sip:one@x|sip:one@x, <sip:two@x>;q=0.5");
	expect("$(branch(dst_uri)[1])|$(branch(uri)[-2])|[$(branch(uri)[2])]", "sip:9.9.9.9|sip:one@x|[<null>]");
	expect("$sel(branch.count)|$sel(branch.uri[1])", "2|sip:two@x");
	ck_assert_int_eq(set_null("$(branch(uri)[0])"), 0);
	expect("$branch(count)|$br", "1|sip:two@x");
	ck_assert_int_eq(set_s("$sbranch(uri)", "sip:s@s"), 0);
	ck_assert_int_eq(set_i("$sbranch(flags)", 3), 0);
	expect("$sbranch(uri)|$sbranch(flags)", "sip:s@s|3");
}
END_TEST

START_TEST(lists)
{
	ctx_of(invite);
	ck_assert_int_eq(set_s("$avp(a)", "one"), 0);
	ck_assert_int_eq(set_i("$avp(s:a)", 2), 0);
	ck_assert_int_eq(set_s("$(avp(a)[3])", "three"), 0);
	expect("$avp(a)|$(avp(a)[1])|$(avp(a)[-1])|$(avp(a)[*])|$cnt($avp(a))", "three|2|one|three, 2, one|3");
	ck_assert_int_eq(set_null("$avp(a)"), 0);
	expect("$(avp(a)[*])", "2, one");
	ck_assert_int_eq(set_s("$(avp(a)[*])", "only"), 0);
	expect("$(avp(a)[*])", "only");
	ck_assert_int_eq(set_null("$(avp(a)[*])"), 0);
	expect("$avp(a)", "<null>");
	ck_assert_int_eq(set_s("$avp(i:5)", "x"), 0);
	ck_assert_int_eq(set_s("$var(n)", "i:5"), 0);
	expect("$avp($var(n))", "x");

	ck_assert_int_eq(set_s("$xavp(r)", "plain"), 0);
	ck_assert_int_eq(set_s("$xavp(r=>f)", "f1"), 0);
	ck_assert_int_eq(set_s("$xavp(r[0]=>f)", "f2"), 0);
	ck_assert_int_eq(set_i("$xavp(r[0]=>g)", 7), 0);
	expect("$xavp(r=>f)|$xavp(r[0]=>f[1])|$xavp(r[0]=>f[*])|$xavp(r=>g)|$xavp(r[1])|$cnt($xavp(r))|$cnt($xavp(r=>f))", "f2|f1|f2, f1|7|plain|2|2");
	ck_assert_int_eq(set_s("$xavp(r[0]=>f[1])", "F1"), 0);
	expect("$xavp(r[0]=>f[*])|$xavp(R=>f)", "f2, F1|<null>");
	ck_assert_int_eq(set_s("$xavp(none[0]=>f)", "x"), 0);
	expect("$xavp(none)", "<null>");
	ck_assert_int_eq(set_null("$xavp(r=>g)"), 0);
	expect("$xavp(r=>g)", "<null>");
	ck_assert_int_eq(set_i("$var(i)", 1), 0);
	expect("$xavp(r[$var(i)])", "plain");
	ck_assert(str_starts(eval("$xavp(r)"), STR_LIT("<<xavp:0x")));
	ck_assert_int_eq(set_null("$xavp(r[*])"), 0);
	expect("$xavp(r)", "<null>");

	ck_assert_int_eq(set_s("$xavi(Root=>Field)", "v"), 0);
	expect("$xavi(rOOT=>fIELD)", "v");
	ck_assert_int_eq(set_s("$xavu(u=>a)", "1"), 0);
	ck_assert_int_eq(set_s("$xavu(u=>a)", "2"), 0);
	ck_assert_int_eq(set_s("$xavu(u=>b)", "3"), 0);
	expect("$xavu(u=>a)$xavu(u=>b)|$cnt($xavu(u=>a))", "23|1");
	ck_assert_int_eq(set_null("$xavu(u=>a)"), 0);
	expect("$xavu(u=>a)", "<null>");
	ck_assert_int_eq(set_null("$vn(x)"), 0);
	ck_assert_int_eq(set_null("$var(n)"), 0);
	expect("$vn(x)|$var(n)", "<null>|0");
}
END_TEST

START_TEST(runtime_config)
{
	ctx_of(invite);
	expect("$sel(cfg_get.voicemail.srv_ip)|$sel(cfg_get.voicemail.srv_port)|$sel(cfg_get.voicemail.none)", "192.0.2.1|5066|<null>");
	expect("$ccp(voicemail.srv_port)|$ccp(none.none)", "5066|<null>");
	ck_assert_int_eq(set_i("$ccp(voicemail.srv_port)", 5067), 0);
	ck_assert_int_eq(set_null("$ccp(voicemail.srv_port)"), 0);
	expect("$sel(cfg_get.voicemail.srv_port)", "5067");
}
END_TEST

START_TEST(shared)
{
	char big[4000];

	ctx_of(invite);
	ck_assert_int_eq(set_i("$shv(c)", 41), 0);
	expect("$shv(c)|$shvinc(c)|$shv(c)", "41|42|42");
	ck_assert_int_eq(set_s("$shv(c)", "text"), 0);
	expect("$shv(c)|$shvinc(c)|$shv(c)", "text|0|text");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ck_assert_int_eq(set_s("$shv(c)", big), 0);
	expect("$(shv(c){s.len})", "3999");
	ck_assert_int_eq(set_null("$shv(c)"), 0);
	expect("[$shv(c)]", "[]");
	expect("$shvinc(new)$shvinc(new)", "12");
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

/* ---- functions ---- */

static int call(const char *name, unsigned n, const union script_arg *args)
{
	for (const struct script_func *f = module_pv.funcs; f->name; f++) {
		if (strcmp(f->name, name) == 0 && f->n_params == n)
			return f->fn(ctx, args, n);
	}
	ck_abort_msg("no function %s/%u", name, n);
}

static union script_arg arg_s(const char *s)
{
	return (union script_arg){ .s = str_lit(s) };
}

static union script_arg arg_pv(const char *s)
{
	struct pv_spec *spec;
	size_t len;

	ck_assert_int_eq(pv_parse(ctx->pool, str_lit(s), &spec, &len, NULL), 0);
	return (union script_arg){ .pv = spec };
}

#define CALL(name, ...) \
	call(name, sizeof((union script_arg[]){ __VA_ARGS__ }) / sizeof(union script_arg), (union script_arg[]){ __VA_ARGS__ })

START_TEST(functions)
{
	ctx_of(invite);
	ck_assert_int_eq(CALL("pv_isset", arg_pv("$rU")), 1);
	ck_assert_int_eq(CALL("pv_isset", arg_pv("$du")), -1);
	ck_assert_int_eq(CALL("is_int", arg_pv("$rp")), 1);
	ck_assert_int_eq(CALL("is_int", arg_pv("$rU")), -1);
	ck_assert_int_eq(CALL("not_empty", arg_pv("$rU")), 1);
	ck_assert_int_eq(CALL("not_empty", arg_pv("$hdr(X-Empty)")), -1);
	ck_assert_int_eq(CALL("typeof", arg_pv("$rU"), arg_s("str")), 1);
	ck_assert_int_eq(CALL("typeof", arg_pv("$ml"), arg_s("int")), 1);
	ck_assert_int_eq(CALL("typeof", arg_pv("$du"), arg_s("null")), 1);
	ck_assert_int_eq(CALL("typeof", arg_pv("$du"), arg_s("int")), -1);
	ck_assert_int_eq(CALL("pv_evalx", arg_pv("$var(e)"), arg_s("<$rU>")), 1);
	expect("$var(e)", "<bob>");
	ck_assert_int_eq(CALL("pv_unset", arg_pv("$var(e)")), 1);
	expect("$var(e)", "0");
	ck_assert_int_eq(CALL("xavp_params_explode", arg_s("a=1;b=\"x;y\";c"), arg_s("p")), 1);
	expect("$xavp(p=>a)|$xavp(p=>b)|[$xavp(p=>c)]", "1|x;y|[]");
	ck_assert_int_eq(CALL("xavp_params_implode", arg_s("p"), arg_pv("$var(o)")), 1);
	expect("$var(o)", "a=1;b=x;y;c;");
	ck_assert_int_eq(CALL("xavp_params_implode_qval", arg_s("p"), arg_pv("$var(o)")), 1);
	expect("$var(o)", "a=\"1\";b=\"x;y\";c;");
	ck_assert_int_eq(CALL("xavp_slist_explode", arg_s("a, b ,c"), arg_s(","), arg_s("t"), arg_s("l")), 1);
	expect("$xavp(l[0]=>v[*])", "a, b, c");
	ck_assert_int_eq(CALL("xavp_child_seti", arg_s("n"), arg_s("f"), ((union script_arg){ .i = 5 })), 1);
	ck_assert_int_eq(CALL("xavp_child_sets", arg_s("n"), arg_s("f"), arg_s("t")), 1);
	expect("$xavp(n=>f)|$cnt($xavp(n=>f))", "t|1");
	ck_assert_int_eq(CALL("xavp_copy", arg_s("n"), ((union script_arg){ .i = 0 }), arg_s("m")), 1);
	expect("$xavp(m=>f)", "t");
	ck_assert_int_eq(CALL("xavp_child_rm", arg_s("n"), arg_s("f")), 1);
	ck_assert_int_eq(CALL("xavp_child_rm", arg_s("n"), arg_s("f")), -1);
	ck_assert_int_eq(CALL("xavp_rm", arg_s("m")), 1);
	ck_assert_int_eq(CALL("xavp_rm", arg_s("m")), -1);
	ck_assert_int_eq(set_s("$var(zz)", "v"), 0);
	ck_assert_int_eq(CALL("pv_var_to_xavp", arg_s("zz"), arg_s("vx")), 1);
	expect("$xavp(vx=>zz)", "v");
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("module pv");
	TCase *tc = tcase_create("pv");

	tcase_add_unchecked_fixture(tc, once, NULL);
	tcase_add_checked_fixture(tc, slot, done);
	tcase_add_loop_test(tc, values, 0, (int)ARRAY_LEN(vectors));
	tcase_add_loop_test(tc, refusals, 0, (int)ARRAY_LEN(refused));
	tcase_add_test(tc, request_uri);
	tcase_add_test(tc, from_and_to);
	tcase_add_test(tc, flags);
	tcase_add_test(tc, branches);
	tcase_add_test(tc, lists);
	tcase_add_test(tc, runtime_config);
	tcase_add_test(tc, shared);
	tcase_add_test(tc, functions);
	suite_add_tcase(s, tc);
	return s;
}
