# Unit tests of rpc.
check_PROGRAMS += tests/unit/rpc/test_json
TESTS += tests/unit/rpc/test_json
tests_unit_rpc_test_json_SOURCES = tests/unit/rpc/test_json.c
tests_unit_rpc_test_json_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_rpc_test_json_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/rpc/test_binrpc
TESTS += tests/unit/rpc/test_binrpc
tests_unit_rpc_test_binrpc_SOURCES = tests/unit/rpc/test_binrpc.c
tests_unit_rpc_test_binrpc_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_rpc_test_binrpc_LDADD = $(RF_TEST_LIBS)
