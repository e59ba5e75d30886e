/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test shares: one Check program per source file, with this main(). */
#ifndef RF_TEST_MAIN_H
#define RF_TEST_MAIN_H

#include <check.h>

/* Each test program defines its suite. */
Suite *test_suite(void);

#endif
