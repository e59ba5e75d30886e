/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conversions that the script language makes between integers and text. A text that is no
 * number is an error and not 0, because a script must not take a phone number it mistyped for zero.
 */
#include "core/base/value.h"

#include <errno.h>

#include "core/base/num.h"
#include "core/base/pool.h"

int value_to_int(const struct value *v, int64_t *ret)
{
	switch (v->kind) {
	case VALUE_NULL:
		*ret = 0;
		return 0;
	case VALUE_INT:
		*ret = v->i;
		return 0;
	case VALUE_STR:
		if (v->has_int) {
			*ret = v->i;
			return 0;
		}
		return num_script(v->s, ret) < 0 ? -EBADMSG : 0;
	}
	return -EBADMSG;
}

int value_to_str(const struct value *v, struct pool *pool, struct str *ret)
{
	char tmp[NUM_DEC_MAX];
	struct str s;

	if (v->kind == VALUE_STR) {
		*ret = v->s;
		return 0;
	}
	if (v->kind == VALUE_NULL) {
		*ret = STR_LIT("");
		return 0;
	}
	s = str_dup(pool, str_of(tmp, num_dec(v->i, tmp)));
	if (!s.s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int value_dup(const struct value *v, struct pool *pool, struct value *ret)
{
	struct value out = *v;

	if (v->kind == VALUE_STR) {
		out.s = str_dup(pool, v->s);
		if (!out.s.s)
			return -ENOMEM;
	} else {
		out.s = STR_NULL;
	}
	*ret = out;
	return 0;
}
