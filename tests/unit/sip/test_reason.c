/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/sip/reason.h"
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct { unsigned status; const char *text; } vectors[] = {
	{ 100, "Trying" }, { 183, "Session Progress" }, { 200, "OK" }, { 202, "Accepted" }, { 302, "Moved Temporarily" },
	{ 404, "Not Found" }, { 408, "Request Timeout" }, { 480, "Temporarily Unavailable" }, { 487, "Request Terminated" },
	{ 503, "Service Unavailable" }, { 603, "Decline" }, { 608, "Rejected" },
	{ 101, "Trying" }, { 299, "OK" }, { 399, "Multiple Choices" }, { 499, "Bad Request" }, { 599, "Server Internal Error" },
	{ 699, "Busy Everywhere" }, { 0, "Unknown" }, { 99, "Unknown" }, { 700, "Unknown" },
};
/* clang-format on */

START_TEST(reason_vectors)
{
	ck_assert_str_eq(sip_reason(vectors[_i].status), vectors[_i].text);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("reason");

	tcase_add_loop_test(t, reason_vectors, 0, ARRAY_LEN(vectors));
	return suite_of("sip/reason", t);
}
