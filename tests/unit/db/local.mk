check_PROGRAMS += tests/unit/db/test_db
TESTS += tests/unit/db/test_db
tests_unit_db_test_db_SOURCES = tests/unit/db/test_db.c
tests_unit_db_test_db_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_db_test_db_LDADD = $(RF_TEST_LIBS)
