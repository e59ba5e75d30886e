# Unit tests of main: the last one runs the program that was built.
check_PROGRAMS += tests/unit/main/test_main
TESTS += tests/unit/main/test_main
tests_unit_main_test_main_SOURCES = tests/unit/main/test_main.c
tests_unit_main_test_main_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_main_test_main_LDADD = $(RF_TEST_LIBS)
