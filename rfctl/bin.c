/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of binrpc (core/rpc/binrpc.h describes it). A structure without names is an array; one whose names repeat is an
 * array of named things, as the same command has it in JSON.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/strbuf.h"
#include "rfctl/rfctl.h"

#define DEPTH_MAX 32u

enum { REC_INT = 0, REC_STR = 1, REC_DOUBLE = 2, REC_STRUCT = 3, REC_ARRAY = 4, REC_NAME = 5, REC_BYTES = 6 };
enum { PACKET_REPLY = 1, PACKET_FAULT = 3 };

static uint64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static void put_number(struct strbuf *out, uint64_t v, unsigned n)
{
	while (n-- > 0)
		strbuf_add_char(out, (char)(v >> (8 * n) & 255));
}

static void put_text(struct strbuf *out, const char *s, size_t n)
{
	strbuf_add_char(out, (char)(0x80 | 4 << 4 | REC_STR));
	put_number(out, n + 1, 4);
	strbuf_add(out, str_of(s, n));
	strbuf_add_char(out, '\0');
}

int bin_request(const char *method, const json_t *params, struct strbuf *out)
{
	struct strbuf body;
	size_t i;
	json_t *v;
	int err = 0;

	strbuf_init(&body, 1 << 16);
	put_text(&body, method, strlen(method));
	json_array_foreach(params, i, v) {
		if (json_is_string(v)) {
			put_text(&body, json_string_value(v), json_string_length(v));
		} else if (json_is_integer(v) && json_integer_value(v) >= INT32_MIN && json_integer_value(v) <= UINT32_MAX) {
			strbuf_add_char(&body, (char)(4 << 4 | REC_INT));
			put_number(&body, (uint32_t)json_integer_value(v), 4);
		} else if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 1e12) {
			strbuf_add_char(&body, (char)(7 << 4 | REC_DOUBLE));
			put_number(&body, (uint64_t)(json_real_value(v) * 1000.0 + 0.5), 7);
		} else {
			err = -EINVAL;
		}
	}
	strbuf_add_char(out, (char)0xA1);
	strbuf_add_char(out, (char)(3 << 2 | 3)); /* a request; four bytes of length and of cookie */
	put_number(out, body.n, 4);
	put_number(out, 0x72666331, 4);
	strbuf_add(out, strbuf_str(&body));
	if (err == 0)
		err = strbuf_err(&body);
	strbuf_done(&body);
	return err;
}

struct head {
	unsigned type;
	size_t n, body_n;
};

static int head_read(struct str bytes, struct head *ret)
{
	const unsigned char *p = (const unsigned char *)bytes.s;
	unsigned len_n, cookie_n;

	if (bytes.n > 0 && p[0] != 0xA1)
		return -EBADMSG;
	if (bytes.n < 2)
		return -ENODATA;
	len_n = (p[1] >> 2 & 3) + 1;
	cookie_n = (p[1] & 3) + 1;
	if (bytes.n < 2 + len_n + cookie_n)
		return -ENODATA;
	*ret = (struct head){ p[1] >> 4, 2 + len_n + cookie_n, big_endian(p + 2, len_n) };
	return 0;
}

ptrdiff_t bin_frame(struct str bytes)
{
	struct head h;
	int err = head_read(bytes, &h);

	if (err < 0)
		return err == -ENODATA ? 0 : err;
	return bytes.n >= h.n + h.body_n ? (ptrdiff_t)(h.n + h.body_n) : 0;
}

/* ---- records ---- */

struct record {
	unsigned type;
	bool is_long;
	struct str value;
};

static int record_read(struct str *rest, struct record *ret)
{
	const unsigned char *p = (const unsigned char *)rest->s;
	size_t head = 1;
	uint64_t n;

	if (rest->n == 0)
		return -ENODATA;
	*ret = (struct record){ .type = p[0] & 15, .is_long = (p[0] & 0x80) != 0 };
	n = p[0] >> 4 & 7;
	if (ret->type == REC_STRUCT || ret->type == REC_ARRAY) {
		n = 0;
	} else if (ret->is_long) {
		head += n;
		if (head > rest->n)
			return -EBADMSG;
		n = big_endian(p + 1, head - 1);
	}
	if (n > rest->n - head)
		return -EBADMSG;
	ret->value = str_sub(*rest, head, n);
	*rest = str_sub(*rest, head + n, rest->n);
	return 0;
}

static bool is_end(const struct record *r)
{
	return (r->type == REC_STRUCT || r->type == REC_ARRAY) && r->is_long;
}

static int value_read(struct str *rest, const struct record *r, unsigned depth, json_t **ret);

/* Takes the object apart again: [{"name": value}, ...]. */
static json_t *as_array(json_t *object)
{
	json_t *list = json_array(), *v;
	const char *name;

	json_object_foreach(object, name, v) {
		json_array_append_new(list, json_pack("{sO}", name, v));
	}
	json_decref(object);
	return list;
}

/* What is between the two marks. Nothing in between: an empty array, since most lists may be empty and few objects are. */
static int struct_read(struct str *rest, unsigned depth, json_t **ret)
{
	json_t *object = json_object(), *list = NULL, *v;
	struct record r;
	char name[128];

	while (record_read(rest, &r) == 0 && !is_end(&r)) {
		name[0] = '\0';
		if (r.type == REC_NAME) {
			(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(r.value));
			if (record_read(rest, &r) < 0)
				goto bad;
		}
		if (value_read(rest, &r, depth + 1, &v) < 0)
			goto bad;
		if (!list && (!name[0] || json_object_get(object, name))) {
			list = as_array(object);
			object = NULL;
		}
		if (list)
			json_array_append_new(list, name[0] ? json_pack("{so}", name, v) : v);
		else
			json_object_set_new(object, name, v);
	}
	if (!is_end(&r))
		goto bad;
	*ret = list ? list : json_object_size(object) ? object : as_array(object);
	return 0;
bad:
	json_decref(list);
	json_decref(object);
	return -EBADMSG;
}

static int value_read(struct str *rest, const struct record *r, unsigned depth, json_t **ret)
{
	const unsigned char *p = (const unsigned char *)r->value.s;

	switch (r->type) {
	case REC_INT:
		if (r->value.n > 8)
			return -EBADMSG;
		*ret = json_integer(r->value.n <= 4 ? (int32_t)(uint32_t)big_endian(p, r->value.n) : (int64_t)big_endian(p, r->value.n));
		return 0;
	case REC_DOUBLE:
		if (r->value.n > 8)
			return -EBADMSG;
		*ret = json_real((double)(int64_t)big_endian(p, r->value.n) / 1000.0);
		return 0;
	case REC_STR:
	case REC_BYTES:
		*ret = rf_json_text(r->value.s, r->value.n - (r->type == REC_STR && r->value.n > 0));
		return 0;
	case REC_STRUCT:
	case REC_ARRAY:
		return depth < DEPTH_MAX && !r->is_long ? struct_read(rest, depth, ret) : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

int bin_reply(struct str packet, struct rf_reply *ret)
{
	json_t *all = json_array(), *v;
	struct record r;
	struct head h;

	if (head_read(packet, &h) < 0 || h.body_n != packet.n - h.n || (h.type != PACKET_REPLY && h.type != PACKET_FAULT))
		goto bad;
	packet = str_sub(packet, h.n, packet.n);
	while (packet.n > 0) {
		if (record_read(&packet, &r) < 0 || value_read(&packet, &r, 0, &v) < 0)
			goto bad;
		json_array_append_new(all, v);
	}
	if (h.type == PACKET_FAULT) {
		const char *text = json_string_value(json_array_get(all, 1));

		ret->code = (int)json_integer_value(json_array_get(all, 0));
		(void)snprintf(ret->text, sizeof(ret->text), "%s", text ? text : "fault");
		json_decref(all);
		return 0;
	}
	/* one value stands for itself, as commands without RPC_RET_ARRAY have it in JSON */
	if (json_array_size(all) == 1)
		ret->result = json_incref(json_array_get(all, 0));
	else
		ret->result = json_incref(all);
	json_decref(all);
	return 0;
bad:
	json_decref(all);
	return -EBADMSG;
}
