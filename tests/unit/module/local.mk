check_PROGRAMS += tests/unit/module/test_params
TESTS += tests/unit/module/test_params
tests_unit_module_test_params_SOURCES = tests/unit/module/test_params.c
tests_unit_module_test_params_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_module_test_params_LDADD = $(RF_TEST_LIBS)
tests_unit_module_test_params_LDFLAGS = -rdynamic $(AM_LDFLAGS)
check_PROGRAMS += tests/unit/module/test_loader
TESTS += tests/unit/module/test_loader
tests_unit_module_test_loader_SOURCES = tests/unit/module/test_loader.c
tests_unit_module_test_loader_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_module_test_loader_LDADD = $(RF_TEST_LIBS)
tests_unit_module_test_loader_LDFLAGS = -rdynamic $(AM_LDFLAGS)
check_PROGRAMS += tests/unit/module/tm_a.so
tests_unit_module_tm_a_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_a_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_a -DTM_NEEDS=tm_b
tests_unit_module_tm_a_so_LDFLAGS = $(RF_MODULE_LINK)
check_PROGRAMS += tests/unit/module/tm_b.so
tests_unit_module_tm_b_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_b_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_b 
tests_unit_module_tm_b_so_LDFLAGS = $(RF_MODULE_LINK)
check_PROGRAMS += tests/unit/module/tm_plain.so
tests_unit_module_tm_plain_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_plain_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_plain 
tests_unit_module_tm_plain_so_LDFLAGS = $(RF_MODULE_LINK)
check_PROGRAMS += tests/unit/module/tm_c.so
tests_unit_module_tm_c_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_c_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_c -DTM_NEEDS=tm_d
tests_unit_module_tm_c_so_LDFLAGS = $(RF_MODULE_LINK)
check_PROGRAMS += tests/unit/module/tm_d.so
tests_unit_module_tm_d_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_d_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_d -DTM_NEEDS=tm_c
tests_unit_module_tm_d_so_LDFLAGS = $(RF_MODULE_LINK)
check_PROGRAMS += tests/unit/module/tm_old.so
tests_unit_module_tm_old_so_SOURCES = tests/unit/module/testmod.c
tests_unit_module_tm_old_so_CFLAGS = $(AM_CFLAGS) -DTM_NAME=tm_old -DTM_ABI=99
tests_unit_module_tm_old_so_LDFLAGS = $(RF_MODULE_LINK)
