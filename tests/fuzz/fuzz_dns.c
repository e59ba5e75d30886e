/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS answers: the first byte says which type was asked. Whatever the server sends, names end, fit and hold no NUL or dot at
 * the wrong place, and what is taken is the same when the bytes are read again.
 */
#include <errno.h>

#include "core/net/dns.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct dns_set *set, enum dns_type type)
{
	fuzz_require(set->n <= DNS_RRS_MAX);
	for (unsigned i = 0; i < set->n; i++) {
		const struct dns_rr *rr = &set->rr[i];

		if (type == DNS_SRV || type == DNS_NAPTR) {
			fuzz_require(rr->name_n < DNS_NAME_MAX);
			fuzz_require(rr->name_n == 0 || rr->name[rr->name_n - 1] != '.');
			for (unsigned j = 0; j < rr->name_n; j++)
				fuzz_require(rr->name[j] != '\0' && !(rr->name[j] >= 'A' && rr->name[j] <= 'Z'));
		}
		if (type == DNS_NAPTR)
			fuzz_require(rr->service >= DNS_SIP_UDP && rr->service <= DNS_SIPS_TCP);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR };
	static struct dns_set set, again;
	enum dns_type type;
	struct str in;
	int err;

	if (size == 0)
		return 0;
	type = types[data[0] % 4];
	in = fuzz_copy(data + 1, size - 1);
	memset(&set, 0xa5, sizeof(set));
	err = dns_answer_parse((const uint8_t *)in.s, in.n, type, &set);
	fuzz_require(err == 0 || err == -EBADMSG);
	if (err == 0) {
		check(&set, type);
		fuzz_require(dns_answer_parse((const uint8_t *)in.s, in.n, type, &again) == 0);
		fuzz_require(again.n == set.n && again.ttl_s == set.ttl_s && again.err == set.err);
	}
	fuzz_free(in);
	return 0;
}
