check_PROGRAMS += tests/unit/script/test_vm
TESTS += tests/unit/script/test_vm
tests_unit_script_test_vm_SOURCES = tests/unit/script/test_vm.c tests/unit/script/script_test.c tests/unit/script/script_test.h
tests_unit_script_test_vm_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_script_test_vm_LDADD = $(RF_TEST_LIBS)
