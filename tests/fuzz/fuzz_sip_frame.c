/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Framing of a stream: the first byte says how many bytes behind it say how much arrives each time (in turn); cut
 * like that or not at all, the same messages come out at the same places, and a message that was framed has its body where the
 * parser finds it.
 */
#include <errno.h>

#include "core/sip/frame.h"
#include "core/sip/msg.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES 4096
#define MSGS_MAX 64

struct result {
	size_t starts[MSGS_MAX];
	unsigned n_msgs, n_pings;
	size_t end;    /* where it stopped */
	int64_t error; /* 0, or what ended the stream */
};

/* n_steps 0: all bytes at once. */
static void run(const uint8_t *data, size_t size, const uint8_t *steps, unsigned n_steps, struct result *r)
{
	struct sip_frame f = { 0 };
	size_t from = 0, to = n_steps ? 0 : size;
	unsigned turn = 0;

	memset(r, 0, sizeof(*r));
	for (;;) {
		struct str in = fuzz_copy(data + from, to - from);
		enum sip_frame_kind kind = SIP_FRAME_MSG;
		int64_t n = sip_frame_next(&f, in, MAX_BYTES, (size & 1) != 0, &kind, NULL);

		fuzz_free(in);
		if (n == -ENODATA && to < size) {
			to += 1u + steps[turn++ % n_steps];
			to = to < size ? to : size;
			continue;
		}
		r->end = from;
		if (n < 0) {
			r->error = n;
			return;
		}
		fuzz_require(n > 0 && (size_t)n <= to - from);
		if (kind == SIP_FRAME_MSG && r->n_msgs < MSGS_MAX)
			r->starts[r->n_msgs++] = from;
		r->n_pings += kind == SIP_FRAME_PING;
		from += (size_t)n;
		sip_frame_reset(&f);
	}
}

static void parser_agrees(const uint8_t *data, size_t size)
{
	struct sip_frame f = { 0 };
	struct str in = fuzz_copy(data, size);
	struct pool *pool = pool_new(1 << 20);
	struct sip_msg m;
	enum sip_frame_kind kind;
	int64_t n = sip_frame_next(&f, in, MAX_BYTES, true, &kind, NULL);

	fuzz_require(pool != NULL);
	if (n > 0 && kind == SIP_FRAME_MSG &&
	    sip_msg_parse(pool, str_sub(in, 0, (size_t)n), &m, NULL) == 0) {
		fuzz_require(m.body_off == f.body_off);
		fuzz_require(m.extra_bytes == 0 || !m.has_content_length);
		fuzz_require(!m.has_content_length || m.content_length == (uint32_t)n - m.body_off);
	}
	pool_free(pool);
	fuzz_free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, cut;
	unsigned n_steps = size ? data[0] % 32u + 1 : 0;
	const uint8_t *stream = data + 1 + n_steps;

	if (size < 1 + n_steps || size > 4 * MAX_BYTES)
		return 0;
	size -= 1 + n_steps;
	sip_msg_rules((size & 2 ? SIP_HTTP_REPLIES : 0u) | (size & 4 ? SIP_REPEATS : 0u));
	run(stream, size, NULL, 0, &whole);
	run(stream, size, data + 1, n_steps, &cut);
	fuzz_require(whole.n_msgs == cut.n_msgs && whole.n_pings == cut.n_pings);
	fuzz_require(memcmp(whole.starts, cut.starts, sizeof(whole.starts)) == 0);
	fuzz_require(whole.error == cut.error);
	parser_agrees(stream, size);
	return 0;
}
