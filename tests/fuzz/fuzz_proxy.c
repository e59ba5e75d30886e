/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers of the PROXY protocol: the first byte chooses stream or datagram, or (bit 1) what bits 2 and 3 allow in front of a datagram. What is
 * taken lies in the input, is the same with anything behind it, and is not taken from less; what more is needed for is bounded.
 */
#include <errno.h>

#include "core/net/proxy.h"
#include "tests/fuzz/fuzz.h"

static int parse(enum net_proxy_kind kind, const uint8_t *data, size_t size, struct net_proxy *p, size_t *need)
{
	struct str in = fuzz_copy(data, size);
	struct diag why = { 0 };
	int err = net_proxy_parse(kind, in, p, need, &why);

	fuzz_require(err == 0 || err == -ENODATA || err == -EBADMSG);
	fuzz_require(err != -EBADMSG || why.text[0]);
	fuzz_free(in);
	return err;
}

/* What is taken off lies in the input, leads to a client, and the simple header is written as it came. */
static void datagram(unsigned kinds, const uint8_t *data, size_t size)
{
	struct str in = fuzz_copy(data, size);
	struct diag why = { 0 };
	struct net_proxy p = { 0 };
	int kind = net_proxy_datagram(kinds, in, &p, &why);
	char again[NET_PROXY_SIMPLE_BYTES];

	fuzz_require(kind == -EBADMSG || kind == 0 || (kind > 0 && ((unsigned)kind & kinds) == (unsigned)kind));
	fuzz_require(kind != -EBADMSG || why.text[0]);
	if (kind > 0)
		fuzz_require(p.bytes > 0 && p.bytes <= size && (!p.known || (p.src.port && p.src.family)));
	if (kind == NET_PROXY_SIMPLE) {
		net_proxy_simple_build(&p.src, &p.dst, again);
		fuzz_require(memcmp(again, in.s, sizeof(again)) == 0);
	}
	fuzz_free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum net_proxy_kind kind = size > 0 && (data[0] & 1) ? NET_PROXY_DATAGRAM : NET_PROXY_STREAM;
	struct net_proxy p = { 0 }, q = { 0 };
	size_t need = 0;
	int err;

	if (size < 1)
		return 0;
	if (data[0] & 2) {
		datagram((data[0] >> 2 & 3u), data + 1, size - 1);
		return 0;
	}
	data++;
	size--;
	err = parse(kind, data, size, &p, &need);
	if (err == -ENODATA)
		fuzz_require(kind == NET_PROXY_STREAM && need > size && need <= NET_PROXY_MAX_BYTES);
	if (err < 0)
		return 0;
	fuzz_require(p.bytes > 0 && p.bytes <= size && p.bytes <= NET_PROXY_MAX_BYTES);
	fuzz_require(!p.known || (p.src.family && p.dst.family)); /* may differ: one of two IPv6 addresses stands for one of IPv4 */
	fuzz_require(parse(kind, data, p.bytes, &q, &need) == 0 && q.bytes == p.bytes && q.known == p.known);
	fuzz_require(net_addr_equal(&p.src, &q.src) && net_addr_equal(&p.dst, &q.dst));
	if (kind == NET_PROXY_STREAM)
		fuzz_require(parse(kind, data, p.bytes - 1, &q, &need) == -ENODATA);
	return 0;
}
