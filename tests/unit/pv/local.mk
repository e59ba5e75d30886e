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
check_PROGRAMS += tests/unit/modules/test_textops
TESTS += tests/unit/modules/test_textops
tests_unit_modules_test_textops_SOURCES = tests/unit/modules/test_textops.c tests/unit/modules/mod_test.h $(RF_MODULE_TEXTOPS) $(RF_MODULE_PV)
tests_unit_modules_test_textops_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_textops_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/modules/test_siputils
TESTS += tests/unit/modules/test_siputils
tests_unit_modules_test_siputils_SOURCES = tests/unit/modules/test_siputils.c tests/unit/modules/mod_test.h modules/siputils/siputils.c \
	modules/siputils/siputils_contact.c modules/sanity/sanity.c $(RF_MODULE_PV)
tests_unit_modules_test_siputils_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_siputils_LDADD = $(RF_TEST_LIBS)
