/* SPDX-License-Identifier: BSD-2-Clause */
/* Conversions of the script language (reference: language, "Conversions"). */
#include "core/base/value.h"

#include <errno.h>

#include "core/base/pool.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const struct vector { struct value v; int err; int64_t i; const char *s; } vectors[] = {
	{ { .kind = VALUE_NULL },                                        0,        0,  ""      },
	{ { .kind = VALUE_INT, .i = -42 },                               0,       -42, "-42"   },
	{ { .kind = VALUE_STR, .s = { "", 0 } },                         0,        0,  ""      },
	{ { .kind = VALUE_STR, .s = { "12", 2 } },                       0,        12, "12"    },
	{ { .kind = VALUE_STR, .s = { "-3", 2 } },                       0,       -3,  "-3"    },
	{ { .kind = VALUE_STR, .s = { "0x10", 4 } },                     0,        16, "0x10"  },
	{ { .kind = VALUE_STR, .s = { "abc", 3 } },                     -EBADMSG,  0,  "abc"   },
	{ { .kind = VALUE_STR, .s = { "12a", 3 } },                     -EBADMSG,  0,  "12a"   },
	{ { .kind = VALUE_STR, .s = { "99999999999999999999", 20 } },   -EBADMSG,  0,  "99999999999999999999" },
	{ { .kind = VALUE_STR, .has_int = true, .i = 1, .s = { "INVITE", 6 } }, 0, 1,  "INVITE" },
};
/* clang-format on */

START_TEST(converts)
{
	const struct vector *v = &vectors[_i];
	struct pool *pool = pool_new(4096);
	struct value copy;
	struct str s;
	int64_t i = 77;

	ck_assert_int_eq(value_to_int(&v->v, &i), v->err);
	ck_assert_int_eq(i, v->err ? 77 : v->i);
	ck_assert_int_eq(value_to_str(&v->v, pool, &s), 0);
	ck_assert(str_eq(s, str_lit(v->s)));
	ck_assert_int_eq(value_dup(&v->v, pool, &copy), 0);
	ck_assert_int_eq(copy.kind, v->v.kind);
	ck_assert(copy.has_int == v->v.has_int && copy.i == v->v.i);
	if (copy.kind == VALUE_STR)
		ck_assert(str_eq(copy.s, v->v.s) && copy.s.s != v->v.s.s);
	pool_free(pool);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct pool *pool = pool_new(0);
	struct value v = value_int(5), t = value_str(STR_LIT("x")), out;
	struct str s;

	ck_assert_int_eq(value_to_str(&v, pool, &s), -ENOMEM);
	ck_assert_int_eq(value_dup(&t, pool, &out), -ENOMEM);
	pool_free(pool);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("value");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, converts, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, no_memory_is_told);
	suite_add_tcase(s, tc);
	return s;
}
