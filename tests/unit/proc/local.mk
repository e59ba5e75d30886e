# Unit tests of proc.
check_PROGRAMS += tests/unit/proc/test_proc
TESTS += tests/unit/proc/test_proc
tests_unit_proc_test_proc_SOURCES = tests/unit/proc/test_proc.c
tests_unit_proc_test_proc_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_proc_test_proc_LDADD = $(RF_TEST_LIBS)
