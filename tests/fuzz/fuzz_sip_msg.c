/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parser of whole messages: all views stay inside the input, every cache can be asked after any
 * result, the fields lie one behind the other and cover the header block, and what is forwarded
 * unchanged parses to the same message.
 */
#include "core/sip/build.h"
#include "core/sip/sip_priv.h"
#include "tests/fuzz/fuzz.h"

static void same_after_build_and_parse(struct pool *pool, struct sip_msg *m)
{
	struct sip_forward fwd = { .ruri = STR_NULL };
	struct sip_out out;
	struct sip_msg again;
	struct str text;
	int err = sip_build_request(pool, m, NULL, &fwd, false, &out);

	if (err < 0 || out.bytes < SIP_MSG_MIN_BYTES)
		return; /* too long, or too short without the bytes behind the body */
	text = str_of(malloc(out.bytes), out.bytes);
	fuzz_require(text.s != NULL);
	sip_out_copy(&out, (char *)(uintptr_t)text.s);
	fuzz_require(sip_msg_parse(pool, text, &again, NULL) == 0);
	fuzz_require(again.n_hdrs == m->n_hdrs && again.method == m->method);
	fuzz_require(str_eq(again.ruri, m->ruri) && str_eq(again.method_name, m->method_name));
	for (unsigned i = 0; i < m->n_hdrs; i++)
		fuzz_require(str_eq(again.hdrs[i].name, m->hdrs[i].name) &&
		             again.hdrs[i].id == m->hdrs[i].id);
	/* a Content-Length that promised more than came is corrected */
	fuzz_require(str_eq(again.body, m->body) && again.extra_bytes == 0);
	fuzz_free(text);
}

static void fields_cover_the_header(const struct sip_msg *m)
{
	uint32_t at = m->headers_off;

	for (unsigned i = 0; i < m->n_hdrs; i++) {
		fuzz_require(m->hdrs[i].off == at);
		fuzz_require(m->hdrs[i].value.s > m->hdrs[i].name.s &&
		             sip_end(m->hdrs[i].value) < m->buf.s + at + m->hdrs[i].len);
		fuzz_require(m->hdrs[i].id == SIP_H_OTHER || sip_header_is(m->hdrs[i].name, str_lit(sip_header_name((enum sip_header)m->hdrs[i].id))));
		at += m->hdrs[i].len;
	}
	fuzz_require(at == m->headers_end && m->body_off > at);
	fuzz_require(m->body_off + m->body.n + m->extra_bytes == m->buf.n);
}

static void ask_everything(struct sip_msg *m)
{
	struct sip_addr addr;
	const struct sip_via *via;

	if (sip_msg_ruri(m))
		fuzz_require(sip_uri_equal(sip_msg_ruri(m), sip_msg_ruri(m)));
	via = sip_msg_via1(m);
	fuzz_require(!via || (fuzz_inside(via->text, m->buf) && fuzz_inside(via->branch, m->buf) &&
	                      via->host.n > 0));
	via = sip_msg_via2(m);
	fuzz_require(!via || fuzz_inside(via->received, m->buf));
	if (sip_msg_from(m))
		fuzz_require(fuzz_inside(sip_msg_from(m)->uri, m->buf) &&
		             fuzz_inside(sip_msg_from(m)->tag, m->buf));
	(void)sip_msg_to(m);
	fuzz_require(!sip_msg_cseq(m) || sip_msg_cseq(m)->number <= INT32_MAX);
	for (int id = 1; id < SIP_N_HEADERS; id++) {
		struct sip_addr_iter it = { 0 };
		unsigned n = 0;

		while (sip_msg_addr_next(m, (enum sip_header)id, &it, &addr) > 0)
			fuzz_require(++n <= m->buf.n && fuzz_inside(addr.text, m->buf));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pool *pool = pool_new(1 << 20);
	struct str in = fuzz_copy(data, size);
	struct sip_msg m;
	struct diag diag = { 0 };
	int err;

	fuzz_require(pool != NULL);
	memset(&m, 0xa5, sizeof(m));
	sip_msg_rules((size & 2 ? SIP_HTTP_REPLIES : 0u) | (size & 4 ? SIP_REPEATS : 0u));
	err = sip_msg_parse(pool, in, &m, &diag);
	fuzz_require(err == 0 || diag.text[0] != '\0');
	fuzz_require(diag.pos <= size);
	if (err == 0) {
		fields_cover_the_header(&m);
		err = sip_msg_check(&m, &diag);
		if (err == 0)
			fuzz_require(sip_msg_via1(&m) && sip_msg_from(&m) && sip_msg_to(&m) &&
			             sip_msg_cseq(&m));
		ask_everything(&m);
		if (m.kind == SIP_REQUEST)
			same_after_build_and_parse(pool, &m);
	}
	(void)sip_msg_answerable(&m);
	pool_free(pool);
	fuzz_free(in);
	return 0;
}
