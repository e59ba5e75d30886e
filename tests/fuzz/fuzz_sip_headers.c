/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of header fields: the first byte says which parser gets the rest; views stay inside, lists
 * come to an end, and an item taken off a list parses the same alone.
 */
#include "core/sip/addr.h"
#include "core/sip/auth.h"
#include "core/sip/cseq.h"
#include "core/sip/header.h"
#include "core/sip/method.h"
#include "core/sip/via.h"
#include "tests/fuzz/fuzz.h"

static void addrs(struct str in)
{
	struct str rest = in;
	struct sip_addr a, alone;
	unsigned n = 0;

	while (sip_addr_next(&rest, &a, NULL) > 0) {
		fuzz_require(++n <= in.n);
		fuzz_require(fuzz_inside(a.text, in) && fuzz_inside(a.display, a.text) &&
		             fuzz_inside(a.uri, a.text));
		fuzz_require(fuzz_inside(a.params, a.text) && fuzz_inside(a.tag, a.text));
		fuzz_require(a.star || a.uri.n > 0);
		fuzz_require(sip_addr_parse(a.text, &alone, NULL) == 0 && str_eq(alone.uri, a.uri));
	}
}

static void vias(struct str in)
{
	struct str rest = in;
	struct sip_via v, alone;
	unsigned n = 0;

	while (sip_via_next(&rest, &v, NULL) > 0) {
		fuzz_require(++n <= in.n);
		fuzz_require(fuzz_inside(v.text, in) && fuzz_inside(v.host, v.text) &&
		             fuzz_inside(v.branch, v.text));
		fuzz_require(fuzz_inside(v.received, v.text) && fuzz_inside(v.maddr, v.text) &&
		             v.host.n > 0);
		fuzz_require(!v.magic || v.branch.n > 7);
		fuzz_require(sip_via_parse(v.text, &alone, NULL) == 0 &&
		             str_eq(alone.branch, v.branch));
	}
}

static void params(struct str in)
{
	struct str rest = in;
	struct sip_param p, found;
	unsigned n = 0;

	while (sip_param_next(&rest, &p) > 0) {
		fuzz_require(++n <= in.n);
		fuzz_require(p.name.n > 0 && fuzz_inside(p.raw, in) && fuzz_inside(p.value, p.raw));
		fuzz_require(sip_param_find(in, p.name, &found) && str_ieq(found.name, p.name));
		if (n > 200)
			break;
	}
}

static void items(struct str in)
{
	struct str rest = in, item;
	unsigned n = 0;

	while (sip_list_next(&rest, &item) > 0) {
		fuzz_require(++n <= in.n + 1);
		fuzz_require(fuzz_inside(item, in));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sip_credentials cred;
	struct sip_cseq cseq;
	struct diag diag = { 0 };
	struct str in;

	if (size == 0)
		return 0;
	in = fuzz_copy(data + 1, size - 1);
	switch (data[0] % 8) {
	case 0:
		addrs(in);
		break;
	case 1:
		vias(in);
		break;
	case 2:
		params(in);
		break;
	case 3:
		if (sip_credentials_parse(in, &cred, &diag) == 0)
			fuzz_require(fuzz_inside(cred.username, in) &&
			             fuzz_inside(cred.user, cred.username) &&
			             fuzz_inside(cred.response, in) &&
			             fuzz_inside(cred.domain, cred.username));
		break;
	case 4:
		if (sip_cseq_parse(in, &cseq, &diag) == 0)
			fuzz_require(cseq.number <= INT32_MAX && cseq.name.n > 0 &&
			             fuzz_inside(cseq.name, in));
		break;
	case 6:
		items(in);
		break;
	case 7:
		fuzz_require(sip_method_lookup(in) == SIP_M_OTHER || str_eq(in, str_lit(sip_method_name(sip_method_lookup(in)))));
		fuzz_require(sip_proto_lookup(in) == SIP_PROTO_NONE || str_ieq(in, str_lit(sip_proto_name(sip_proto_lookup(in)))));
		break;
	default:
		fuzz_require((unsigned)sip_header_lookup(in) < SIP_N_HEADERS &&
		             sip_header_is(in, in));
		break;
	}
	fuzz_require(diag.pos <= in.n);
	fuzz_free(in);
	return 0;
}
