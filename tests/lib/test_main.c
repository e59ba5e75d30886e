/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the suite of one test program; honours CK_RUN_CASE and CK_FORK. */
#include <stdlib.h>

#include "tests/lib/test_main.h"

int main(void)
{
	SRunner *runner = srunner_create(test_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
