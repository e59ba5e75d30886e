# Unit tests of event.
check_PROGRAMS += tests/unit/event/test_loop
TESTS += tests/unit/event/test_loop
tests_unit_event_test_loop_SOURCES = tests/unit/event/test_loop.c
tests_unit_event_test_loop_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_event_test_loop_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/event/test_doorbell
TESTS += tests/unit/event/test_doorbell
tests_unit_event_test_doorbell_SOURCES = tests/unit/event/test_doorbell.c
tests_unit_event_test_doorbell_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_event_test_doorbell_LDADD = $(RF_TEST_LIBS)
