/* SPDX-License-Identifier: BSD-2-Clause */
/* Name tables. */
#include "core/base/keyword.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

static const struct keyword sorted[] = {
	{ "ACK", 1 }, { "bye", 2 }, { "CANCEL", 3 }, { "INFO", 5 }, { "INVITE", 4 }, { "REFER", 6 },
};

static const struct row {
	int x;
	const char *name;
} rows[] = { { 1, "Via" }, { 2, NULL }, { 3, "From" }, { 4, "To" }, { 5, "f" }, { 6, "Call-ID" } };

START_TEST(finds_in_sorted_table)
{
	ck_assert(keyword_table_sound(sorted, ARRAY_LEN(sorted)));
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		ck_assert_int_eq(keyword_find(sorted, ARRAY_LEN(sorted), str_lit(sorted[i].name)),
		                 sorted[i].id);
	ck_assert_int_eq(keyword_ifind(sorted, ARRAY_LEN(sorted), STR_LIT("invite")), 4);
	ck_assert_int_eq(keyword_find(sorted, ARRAY_LEN(sorted), STR_LIT("invite")), -1);
	ck_assert_int_eq(keyword_ifind(sorted, ARRAY_LEN(sorted), STR_LIT("INVIT")), -1);
	ck_assert_int_eq(keyword_ifind(sorted, ARRAY_LEN(sorted), STR_LIT("INVITEE")), -1);
	ck_assert_int_eq(keyword_ifind(sorted, ARRAY_LEN(sorted), STR_NULL), -1);
	ck_assert_int_eq(keyword_ifind(sorted, 0, STR_LIT("a")), -1);
}
END_TEST

START_TEST(unsorted_table_is_seen)
{
	static const struct keyword bad[] = { { "b", 1 }, { "A", 2 } },
				    twice[] = { { "a", 1 }, { "A", 2 } };

	ck_assert(!keyword_table_sound(bad, 2));
	ck_assert(!keyword_table_sound(twice, 2));
}
END_TEST

START_TEST(index_finds)
{
	struct keyword_index ix;

	ck_assert_int_eq(keyword_index_init(&ix, rows, ARRAY_LEN(rows), sizeof(rows[0]),
	                                    offsetof(struct row, name), _i == 1),
	                 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].name)
			ck_assert_int_eq(keyword_index_find(&ix, str_lit(rows[i].name)), (int)i);
	ck_assert_int_eq(keyword_index_find(&ix, STR_LIT("CALL-id")), _i == 1 ? 5 : -1);
	ck_assert_int_eq(keyword_index_find(&ix, STR_LIT("Call-ID ")), -1);
	ck_assert_int_eq(keyword_index_find(&ix, STR_NULL), -1);
	keyword_index_done(&ix);
	ck_assert_int_eq(keyword_index_find(&ix, STR_LIT("Via")), -1);
}
END_TEST

START_TEST(index_of_many)
{
	static char names[1500][8];
	struct keyword_index ix;
	static struct {
		const char *name;
	} many[1500];

	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
		many[i].name = names[i];
	}
	ck_assert_int_eq(keyword_index_init(&ix, many, 200, sizeof(many[0]), 0, true), 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		ck_assert_int_eq(keyword_index_find(&ix, str_lit(names[i])), i < 200 ? (int)i : -1);
	keyword_index_done(&ix);
	ck_assert_int_eq(keyword_index_init(&ix, many, 1500, sizeof(many[0]), 0, false), 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		ck_assert_int_eq(keyword_index_find(&ix, str_lit(names[i])), (int)i);
	keyword_index_done(&ix);
}
END_TEST

START_TEST(equal_names_are_refused)
{
	static const struct keyword twice[] = { { "a", 1 }, { "b", 1 }, { "A", 2 } };
	struct keyword_index ix;

	ck_assert_int_eq(keyword_index_init(&ix, twice, 3, sizeof(twice[0]), 0, true), -EEXIST);
	ck_assert_int_eq(keyword_index_init(&ix, twice, 3, sizeof(twice[0]), 0, false), 0);
	keyword_index_done(&ix);
	ck_assert_int_eq(keyword_index_init(&ix, twice, 5000, sizeof(twice[0]), 0, false), -EINVAL);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct keyword_index ix;

	for (unsigned n = 1; n < 100; n++) {
		bool failed;
		int err;

		fail_alloc_at(n);
		err =
		    keyword_index_init(&ix, sorted, ARRAY_LEN(sorted), sizeof(sorted[0]), 0, true);
		keyword_index_done(&ix);
		failed = fail_alloc_end();
		ck_assert_int_eq(err, failed ? -ENOMEM : 0);
		ck_assert_int_eq(fail_alloc_held(), 0);
		if (err == 0)
			break;
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("keyword");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, finds_in_sorted_table);
	tcase_add_test(tc, unsorted_table_is_seen);
	tcase_add_loop_test(tc, index_finds, 0, 2);
	tcase_add_test(tc, index_of_many);
	tcase_add_test(tc, equal_names_are_refused);
	tcase_add_test(tc, no_memory_is_told);
	suite_add_tcase(s, tc);
	return s;
}
