# Unit tests of net.
check_PROGRAMS += tests/unit/net/test_addr
TESTS += tests/unit/net/test_addr
tests_unit_net_test_addr_SOURCES = tests/unit/net/test_addr.c
tests_unit_net_test_addr_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_net_test_addr_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/net/test_listener
TESTS += tests/unit/net/test_listener
tests_unit_net_test_listener_SOURCES = tests/unit/net/test_listener.c
tests_unit_net_test_listener_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_net_test_listener_LDADD = $(RF_TEST_LIBS)
