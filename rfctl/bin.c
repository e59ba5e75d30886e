/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of binrpc (core/base/binrec.h describes its bytes). A structure without names is an array; one whose names repeat is an
 * array of named things, as the same command has it in JSON.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/binrec.h"
#include "rfctl/rfctl.h"

#define DEPTH_MAX 32u

/* The reply carries it back; there is one request per connection. */
static const char cookie[4] = { 'r', 'f', 'c', '1' };

int bin_request(const char *method, const json_t *params, struct strbuf *out)
{
	struct strbuf body;
	size_t i;
	json_t *v;
	int err = 0;

	strbuf_init(&body, 1 << 16);
	bin_put_text(&body, BIN_STR, str_lit(method));
	json_array_foreach(params, i, v) {
		if (json_is_string(v))
			bin_put_text(&body, BIN_STR, str_of(json_string_value(v), json_string_length(v)));
		else if (json_is_integer(v) && json_integer_value(v) >= INT32_MIN && json_integer_value(v) <= UINT32_MAX)
			bin_put_int(&body, (uint32_t)json_integer_value(v));
		else if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 1e12)
			bin_put_double(&body, (uint64_t)(json_real_value(v) * 1000.0 + 0.5));
		else
			err = -EINVAL;
	}
	bin_put_head(out, BIN_REQUEST, body.n, cookie, sizeof(cookie));
	strbuf_add(out, strbuf_str(&body));
	if (err == 0)
		err = strbuf_err(&body);
	strbuf_done(&body);
	return err;
}

ptrdiff_t bin_frame(struct str bytes)
{
	struct bin_head h;
	int err = bin_head_read(bytes, &h);

	if (err < 0)
		return err == -ENODATA ? 0 : err;
	return bytes.n >= h.n + h.body_n ? (ptrdiff_t)(h.n + h.body_n) : 0;
}

/* ---- records ---- */

static int value_read(struct str *rest, const struct bin_record *r, unsigned depth, json_t **ret);

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
	struct bin_record r = { 0 };
	char name[128];

	while (bin_record_read(rest, &r) == 0 && !r.is_end) {
		name[0] = '\0';
		if (r.type == BIN_NAME) {
			(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(r.value));
			if (bin_record_read(rest, &r) < 0)
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
	if (!r.is_end)
		goto bad;
	*ret = list ? list : json_object_size(object) ? object : as_array(object);
	return 0;
bad:
	json_decref(list);
	json_decref(object);
	return -EBADMSG;
}

static int value_read(struct str *rest, const struct bin_record *r, unsigned depth, json_t **ret)
{
	uint64_t v;

	switch (r->type) {
	case BIN_INT:
		if (bin_number(r, &v) < 0)
			return -EBADMSG;
		*ret = json_integer(r->value.n <= 4 ? (int32_t)(uint32_t)v : (int64_t)v);
		return 0;
	case BIN_DOUBLE:
		if (bin_number(r, &v) < 0)
			return -EBADMSG;
		*ret = json_real((double)(int64_t)v / 1000.0);
		return 0;
	case BIN_STR:
	case BIN_BYTES:
		*ret = rf_json_text(r->value.s, r->value.n - (r->type == BIN_STR && r->value.n > 0));
		return 0;
	case BIN_STRUCT:
	case BIN_ARRAY:
		return depth < DEPTH_MAX && !r->is_end ? struct_read(rest, depth, ret) : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

int bin_reply(struct str packet, struct rf_reply *ret)
{
	json_t *all = json_array(), *v;
	struct bin_record r;
	struct bin_head h;

	if (bin_head_read(packet, &h) < 0 || h.body_n != packet.n - h.n || (h.type != BIN_REPLY && h.type != BIN_FAULT))
		goto bad;
	packet = str_sub(packet, h.n, packet.n);
	while (packet.n > 0) {
		if (bin_record_read(&packet, &r) < 0 || value_read(&packet, &r, 0, &v) < 0)
			goto bad;
		json_array_append_new(all, v);
	}
	if (h.type == BIN_FAULT) {
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
