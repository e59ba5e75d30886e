/* SPDX-License-Identifier: BSD-2-Clause */
/* AVP lists, and their packed form against damage at every byte. */
#include "core/base/avp.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/pool.h"
#include "core/base/strbuf.h"
#include "tests/lib/test_main.h"

static struct pool *pool;

static void setup(void)
{
	pool = pool_new(1024 * 1024);
}

static void teardown(void)
{
	pool_free(pool);
}

static struct avp *push(struct avp **list, const char *name, struct value v)
{
	struct avp *a = avp_push(list, pool, str_lit(name), &v);

	ck_assert_ptr_nonnull(a);
	return a;
}

static int64_t int_of(struct avp *a)
{
	ck_assert_ptr_nonnull(a);
	return a->value.i;
}

START_TEST(newest_first)
{
	struct avp *list = NULL;

	for (int i = 0; i < 3; i++)
		push(&list, "a", value_int(i));
	push(&list, "B", value_int(9));
	ck_assert_int_eq(int_of(avp_find(list, STR_LIT("a"), 0, false)), 2);
	ck_assert_int_eq(int_of(avp_find(list, STR_LIT("a"), 2, false)), 0);
	ck_assert_int_eq(int_of(avp_find(list, STR_LIT("a"), -1, false)), 0);
	ck_assert_int_eq(int_of(avp_find(list, STR_LIT("a"), -3, false)), 2);
	ck_assert_ptr_null(avp_find(list, STR_LIT("a"), 3, false));
	ck_assert_ptr_null(avp_find(list, STR_LIT("a"), -4, false));
	ck_assert_ptr_null(avp_find(list, STR_LIT("a"), INT32_MIN, false));
	ck_assert_ptr_null(avp_find(list, STR_LIT("b"), 0, false));
	ck_assert_int_eq(int_of(avp_find(list, STR_LIT("b"), 0, true)), 9);
	ck_assert_uint_eq(avp_count(list, STR_LIT("A"), true), 3);
	ck_assert_uint_eq(avp_count(list, STR_LIT("A"), false), 0);
}
END_TEST

/* "1-2 other": values of the nodes named a, "-" for none. */
static const char *as_text(const struct avp *list)
{
	static char text[64];
	size_t n = 0;

	for (; list; list = list->next)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", n ? " " : "", list->value.kind == VALUE_NULL ? 1 : (int)list->value.s.n,
				      list->value.kind == VALUE_NULL ? "-" : list->value.s.s);
	return text;
}

START_TEST(inserts)
{
	struct avp *list = NULL, *from = NULL;
	/* clang-format off */
	static const struct { const char *value; unsigned at; const char *then; } steps[] = {
		{ "L", 3, "- - - L" }, { "B", 0, "B - - L" }, { "M", 1, "B M - L" }, { "N", 1, "B N M - L" }, { "O", 3, "B N M O L" }, { "P", 5, "B N M O L P" },
	};
	/* clang-format on */

	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		push(&from, "a", value_str(str_lit(steps[i].value)));
		ck_assert(avp_insert(&list, pool, from, steps[i].at));
		from = NULL;
		ck_assert_str_eq(as_text(list), steps[i].then);
	}
	push(&list, "other", value_str(STR_LIT("x")));
	push(&from, "a", value_str(STR_LIT("Q")));
	ck_assert(avp_insert(&list, pool, from, 1));
	ck_assert_str_eq(as_text(list), "x B Q N M O L P");
}
END_TEST

START_TEST(removes)
{
	struct avp *list = NULL, *mid;

	push(&list, "a", value_int(1));
	mid = push(&list, "a", value_int(2));
	push(&list, "a", value_int(3));
	push(&list, "c", value_int(4));
	ck_assert(avp_remove(&list, mid));
	ck_assert(!avp_remove(&list, mid));
	ck_assert_uint_eq(avp_count(list, STR_LIT("a"), false), 2);
	ck_assert_uint_eq(avp_remove_all(&list, STR_LIT("A"), true), 2);
	ck_assert_str_eq(list->name.s, "c");
	ck_assert_ptr_null(list->next);
}
END_TEST

static void fill(struct avp_set *set)
{
	struct avp *root;

	*set = (struct avp_set){ 0 };
	push(&set->head[AVP_PLAIN], "i:5", value_int(-7));
	push(&set->head[AVP_PLAIN], "name", value_str(STR_LIT("text\0with NUL")))->flags = 3;
	root = push(&set->head[AVP_XAVP], "ua", value_null());
	root->has_fields = true;
	push(&root->fields, "method", value_str_int(STR_LIT("INVITE"), 1));
	push(&root->fields, "", value_str(STR_NULL));
	push(&set->head[AVP_XAVI], "X", value_int(INT64_MIN));
}

static bool same(const struct avp *a, const struct avp *b)
{
	for (; a && b; a = a->next, b = b->next) {
		if (!str_eq(a->name, b->name) || a->value.kind != b->value.kind ||
		    a->value.i != b->value.i || a->value.has_int != b->value.has_int ||
		    !str_eq(a->value.s, b->value.s) || a->flags != b->flags ||
		    a->has_fields != b->has_fields || !same(a->fields, b->fields))
			return false;
	}
	return !a && !b;
}

START_TEST(packs_and_unpacks)
{
	struct avp_set set, back;
	struct strbuf out;

	fill(&set);
	strbuf_init_pool(&out, pool, 10000);
	ck_assert_int_eq(avp_set_pack(&set, &out), 0);
	ck_assert_int_eq(avp_set_unpack(strbuf_str(&out), pool, &back), 0);
	ck_assert(!back.dirty);
	for (int i = 0; i < AVP_N_CLASSES; i++)
		ck_assert(same(set.head[i], back.head[i]));
}
END_TEST

START_TEST(damage_is_refused_or_harmless)
{
	struct avp_set set, back;
	struct strbuf out;
	struct str s;

	fill(&set);
	strbuf_init_pool(&out, pool, 10000);
	ck_assert_int_eq(avp_set_pack(&set, &out), 0);
	s = strbuf_str(&out);
	for (size_t n = 0; n < s.n; n++) { /* cut anywhere; a copy, so that an over-read is seen */
		struct pool *p = pool_new(64 * 1024);

		ck_assert_int_eq(avp_set_unpack(str_dup(p, str_sub(s, 0, n)), p, &back), -EBADMSG);
		pool_free(p);
	}
	for (size_t i = 0; i < s.n; i++) {
		for (int v = 0; v < 256; v += 5) {
			struct pool *p = pool_new(64 * 1024);
			struct str copy = str_dup(p, s);
			int err;

			((char *)(uintptr_t)copy.s)[i] = (char)v;
			err = avp_set_unpack(copy, p, &back);
			ck_assert(err == 0 || err == -EBADMSG);
			pool_free(p);
		}
	}
	strbuf_add_char(&out, 0);
	ck_assert_int_eq(avp_set_unpack(strbuf_str(&out), pool, &back), -EBADMSG);
}
END_TEST

START_TEST(depth_is_bounded)
{
	struct avp_set set = { 0 }, back;
	struct avp **list = &set.head[AVP_XAVP];
	struct strbuf out;
	char deep[4000];
	size_t n = 0;

	for (int i = 0; i < 12; i++)
		list = &push(list, "d", value_null())->fields;
	strbuf_init_pool(&out, pool, 10000);
	ck_assert_int_eq(avp_set_pack(&set, &out), -EMSGSIZE);
	deep[n++] = 1;
	while (n + 13 <= sizeof(deep)) { /* count 1, bits "has fields", flags 0, name "" */
		memcpy(deep + n, "\1\0\0\0\x08\0\0\0\0\0\0\0\0", 13);
		n += 13;
	}
	ck_assert_int_eq(avp_set_unpack(str_of(deep, n), pool, &back), -EBADMSG);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("avp");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, newest_first);
	tcase_add_test(tc, inserts);
	tcase_add_test(tc, removes);
	tcase_add_test(tc, packs_and_unpacks);
	tcase_add_test(tc, damage_is_refused_or_harmless);
	tcase_add_test(tc, depth_is_bounded);
	suite_add_tcase(s, tc);
	return s;
}
