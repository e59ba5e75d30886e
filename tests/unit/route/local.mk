# Unit tests of route.
check_PROGRAMS += tests/unit/route/test_ruri
TESTS += tests/unit/route/test_ruri
tests_unit_route_test_ruri_SOURCES = tests/unit/route/test_ruri.c
tests_unit_route_test_ruri_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_route_test_ruri_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/route/test_latency
TESTS += tests/unit/route/test_latency
tests_unit_route_test_latency_SOURCES = tests/unit/route/test_latency.c
tests_unit_route_test_latency_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_route_test_latency_LDADD = $(RF_TEST_LIBS)
