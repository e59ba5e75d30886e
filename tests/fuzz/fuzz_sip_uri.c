/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URIs: views stay inside, a URI equals itself and its copy, comparison is symmetric (the input is
 * cut at its first line end into two URIs), and decoding never writes more than it was given.
 */
#include "core/sip/uri.h"
#include "tests/fuzz/fuzz.h"

static bool parse(struct str in, struct sip_uri *u)
{
	struct diag diag = { 0 };

	if (sip_uri_parse(in, u, &diag) < 0) {
		fuzz_require(diag.pos <= in.n && diag.text[0] != '\0');
		return false;
	}
	fuzz_require(fuzz_inside(u->user, in) && fuzz_inside(u->password, in) &&
	             fuzz_inside(u->host, in));
	fuzz_require(fuzz_inside(u->params, in) && fuzz_inside(u->headers, in) &&
	             fuzz_inside(u->transport, in));
	fuzz_require(u->host.n > 0 || u->scheme == SIP_URI_TEL || u->scheme == SIP_URI_TELS);
	fuzz_require(sip_uri_port(u) != 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = size ? memchr(data, '\n', size) : NULL;
	size_t n = lf ? (size_t)(lf - data) : size;
	struct str a = fuzz_copy(data, n),
		   b = fuzz_copy(lf ? lf + 1 : data, lf ? size - n - 1 : size);
	struct sip_uri x, y;
	char *out = malloc(n ? n : 1);
	bool ok = parse(a, &x);

	fuzz_require(out != NULL);
	fuzz_require(sip_unescape(a, out) <= (int)n);
	if (ok && parse(b, &y)) {
		bool same = sip_uri_equal(&x, &y);

		fuzz_require(same == sip_uri_equal(&y, &x));
	}
	free(out);
	fuzz_free(a);
	fuzz_free(b);
	return 0;
}
