# Unit tests of transport.
check_PROGRAMS += tests/unit/transport/test_ctx
TESTS += tests/unit/transport/test_ctx
tests_unit_transport_test_ctx_SOURCES = tests/unit/transport/test_ctx.c
tests_unit_transport_test_ctx_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_transport_test_ctx_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/transport/test_udp
TESTS += tests/unit/transport/test_udp
tests_unit_transport_test_udp_SOURCES = tests/unit/transport/test_udp.c tests/unit/transport/transport_fixture.h
tests_unit_transport_test_udp_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_transport_test_udp_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/transport/test_conn
TESTS += tests/unit/transport/test_conn
tests_unit_transport_test_conn_SOURCES = tests/unit/transport/test_conn.c tests/unit/transport/transport_fixture.h
tests_unit_transport_test_conn_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_transport_test_conn_LDADD = $(RF_TEST_LIBS)
