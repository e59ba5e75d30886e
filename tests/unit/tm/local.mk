# Unit tests of tm.
check_PROGRAMS += tests/unit/tm/test_fsm
TESTS += tests/unit/tm/test_fsm
tests_unit_tm_test_fsm_SOURCES = tests/unit/tm/test_fsm.c
tests_unit_tm_test_fsm_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_tm_test_fsm_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/tm/test_relay
TESTS += tests/unit/tm/test_relay
tests_unit_tm_test_relay_SOURCES = tests/unit/tm/test_relay.c tests/unit/tm/tm_fixture.c tests/unit/tm/tm_fixture.h
tests_unit_tm_test_relay_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_tm_test_relay_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/tm/test_crash
TESTS += tests/unit/tm/test_crash
tests_unit_tm_test_crash_SOURCES = tests/unit/tm/test_crash.c tests/unit/tm/tm_fixture.c tests/unit/tm/tm_fixture.h
tests_unit_tm_test_crash_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_tm_test_crash_LDADD = $(RF_TEST_LIBS)
