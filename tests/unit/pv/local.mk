check_PROGRAMS += tests/unit/pv/test_pv
TESTS += tests/unit/pv/test_pv
tests_unit_pv_test_pv_SOURCES = tests/unit/pv/test_pv.c
tests_unit_pv_test_pv_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_pv_test_pv_LDADD = $(RF_TEST_LIBS)

# Module pv and those that stand on it: here, since their variables are what is tested.
check_PROGRAMS += tests/unit/modules/test_pv
TESTS += tests/unit/modules/test_pv
tests_unit_modules_test_pv_SOURCES = tests/unit/modules/test_pv.c $(RF_MODULE_PV)
tests_unit_modules_test_pv_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_pv_LDADD = $(RF_TEST_LIBS)
