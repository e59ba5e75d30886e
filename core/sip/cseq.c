/* SPDX-License-Identifier: BSD-2-Clause */
/* CSeq = 1*DIGIT LWS Method (RFC 3261, 20.16). The number must be below 2**31 (8.1.1.5). */
#include <errno.h>

#include "core/base/num.h"
#include "core/sip/cseq.h"
#include "core/sip/sip_priv.h"

int sip_cseq_parse(struct str in, struct sip_cseq *ret_cseq, struct diag *reterr)
{
	struct str s = sip_trim(in);
	const char *p = s.s, *end = sip_end(s);
	struct sip_cseq out = { 0 };
	const char *q = sip_skip_class(p, end, CHARS_DIGIT);

	out.number_text = sip_span(p, q);
	if (out.number_text.n == 0)
		return diag_set(reterr, (size_t)(p - in.s), "sequence number expected");
	if (num_u32(out.number_text, &out.number) < 0 || out.number > INT32_MAX)
		return diag_set(reterr, (size_t)(p - in.s), "sequence number out of range");
	p = sip_skip_ws(q, end);
	if (p == q)
		return diag_set(reterr, (size_t)(p - in.s), "white space expected");
	q = sip_skip_class(p, end, CHARS_TOKEN);
	out.name = sip_span(p, q);
	if (out.name.n == 0 || q != end)
		return diag_set(reterr, (size_t)(q - in.s), "method name expected");
	out.method = sip_method_lookup(out.name);
	*ret_cseq = out;
	return 0;
}
