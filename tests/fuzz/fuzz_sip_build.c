/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Editor and builder: the input is a few bytes of commands (one count, then five bytes each) and a
 * message; random edits are applied and everything is built from it. Sizes add up, what is built of
 * an untouched header block parses again with a Content-Length that is right, and the top Via is
 * ours.
 */
#include <errno.h>

#include "core/sip/build.h"
#include "tests/fuzz/fuzz.h"

#define OPS_MAX 16

static struct str text_of(const struct sip_out *out)
{
	struct str text;
	size_t sum = 0;

	for (unsigned i = 0; i < out->n_iov; i++)
		sum += out->iov[i].iov_len;
	fuzz_require(sum == out->bytes && sum <= 65535 && out->n_iov <= out->cap);
	text = str_of(malloc(sum ? sum : 1), sum);
	fuzz_require(text.s != NULL);
	sip_out_copy(out, (char *)(uintptr_t)text.s);
	return text;
}

static void apply(struct sip_edits *e, struct pool *pool, struct sip_msg *m, const uint8_t *op)
{
	uint32_t off = (uint32_t)(op[1] << 8 | op[2]) % (uint32_t)(m->buf.n + 1);
	const struct sip_hdr *h = m->n_hdrs ? &m->hdrs[op[1] % m->n_hdrs] : NULL;
	struct str put = op[4] & 1 ? STR_LIT("X-Fuzz: 1\r\n") : STR_NULL;
	enum sip_edit_tag tag = (enum sip_edit_tag)(op[4] % 4);
	int err = 0;

	switch (op[0] % 7) {
	case 0:
		err = sip_edit_add(e, pool, m, off, op[3], put, tag, (int8_t)(op[4] >> 5));
		break;
	case 1:
		err = h ? sip_edit_remove_hdr(e, pool, m, h, tag) : 0;
		fuzz_require(err < 0 || !h || sip_edit_hdr_removed(e, h));
		break;
	case 2:
		err = h ? sip_edit_replace(e, pool, m, h->value, put, tag) : 0;
		break;
	case 3:
		err = sip_edit_append(e, pool, m, put, tag);
		break;
	case 4:
		err =
		    sip_edit_before(e, pool, m, (enum sip_header)(op[1] % SIP_N_HEADERS), put, tag);
		break;
	case 5:
		err =
		    sip_edit_after(e, pool, m, (enum sip_header)(op[1] % SIP_N_HEADERS), put, tag);
		break;
	default:
		if (op[3] & 1)
			err = sip_edit_status(e, pool, m, (unsigned)(op[1] << 8 | op[2]) % 800, put);
		else
			sip_edit_undo(e, tag);
		break;
	}
	fuzz_require(err == 0 || err == -EINVAL || err == -ENOMEM);
}

/* sorted, no overlap, inside the message, and counted right */
static void check_edits(const struct sip_edits *e, const struct sip_msg *m)
{
	unsigned n = 0;
	uint32_t dropped_to = 0;

	for (const struct sip_edit *ed = e->head; ed; ed = ed->next) {
		fuzz_require(ed->off + ed->drop <= m->body_off + m->body.n);
		fuzz_require(ed->off >= dropped_to);
		fuzz_require(!ed->next || ed->next->off >= ed->off);
		if (ed->drop)
			dropped_to = ed->off + ed->drop;
		n++;
	}
	fuzz_require(n == e->n);
}

static void build_all(struct pool *pool, struct sip_msg *m, const struct sip_edits *e, bool clean)
{
	struct sip_forward fwd = { .via = STR_LIT("Via: SIP/2.0/UDP fuzz;branch=z9hG4bKf\r\n"),
		                   .source = { STR_LIT("192.0.2.1"), 5060 } };
	struct sip_reply_opts opts = { .status = 400,
		                       .reason = STR_LIT("Bad"),
		                       .to_tag = STR_LIT("x"),
		                       .source = fwd.source,
		                       .record_routes = true };
	struct sip_msg again;
	struct sip_out out;
	struct str text;

	if (m->kind == SIP_REQUEST && sip_build_request(pool, m, e, &fwd, true, &out) == 0) {
		text = text_of(&out);
		if (clean && m->n_hdrs + 2u <= SIP_MSG_HEADERS_MAX) {
			fuzz_require(sip_msg_parse(pool, text, &again, NULL) == 0);
			fuzz_require(str_eq(sip_msg_via1(&again)->host, STR_LIT("fuzz")));
			fuzz_require(again.has_content_length && again.extra_bytes == 0 &&
			             again.content_length == again.body.n);
		}
		fuzz_free(text);
		text = text_of(&out);
		if (sip_build_local(pool, text, SIP_M_ACK, STR_LIT("<sip:a@b>;tag=1"), STR_NULL,
		                    &out) == 0) {
			struct str ack = text_of(&out);

			fuzz_require(sip_msg_parse(pool, ack, &again, NULL) == 0 &&
			             again.method == SIP_M_ACK);
			fuzz_free(ack);
		}
		fuzz_free(text);
	}
	if (sip_build_relayed_reply(pool, m, e, 0, STR_NULL, true, &out) == 0)
		fuzz_free(text_of(&out));
	if (sip_build_reply(pool, m, &opts, &out) == 0) {
		text = text_of(&out);
		fuzz_require(sip_msg_parse(pool, text, &again, NULL) == 0);
		if (sip_msg_via1(m))
			fuzz_require(str_eq(sip_msg_via1(&again)->received, STR_LIT("192.0.2.1")));
		fuzz_free(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_ops = size ? data[0] % (OPS_MAX + 1) : 0, skip = 1 + 5 * n_ops;
	struct sip_edits edits = { 0 };
	struct pool *pool;
	struct sip_msg m;
	struct str in;

	if (size < skip || size > 60000)
		return 0;
	pool = pool_new(1 << 22);
	fuzz_require(pool != NULL);
	in = fuzz_copy(data + skip, size - skip);
	if (sip_msg_parse(pool, in, &m, NULL) == 0) {
		build_all(pool, &m, NULL, true);
		for (size_t i = 0; i < n_ops; i++) {
			apply(&edits, pool, &m, data + 1 + 5 * i);
			check_edits(&edits, &m);
		}
		edits.body_replaced = n_ops % 3 == 1;
		edits.new_body = STR_LIT("v=0\r\n");
		build_all(pool, &m, &edits, false);
	} else if (sip_msg_answerable(&m)) {
		struct sip_reply_opts opts = { .status = 400,
			                       .reason = STR_LIT("Bad"),
			                       .to_tag = STR_LIT("x") };
		struct sip_out out;

		if (sip_build_reply(pool, &m, &opts, &out) == 0)
			fuzz_free(text_of(&out));
	}
	pool_free(pool);
	fuzz_free(in);
	return 0;
}
