# Unit tests of settings.
check_PROGRAMS += tests/unit/settings/test_schema
TESTS += tests/unit/settings/test_schema
tests_unit_settings_test_schema_SOURCES = tests/unit/settings/test_schema.c
tests_unit_settings_test_schema_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_settings_test_schema_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/settings/test_cfg
TESTS += tests/unit/settings/test_cfg
tests_unit_settings_test_cfg_SOURCES = tests/unit/settings/test_cfg.c
tests_unit_settings_test_cfg_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_settings_test_cfg_LDADD = $(RF_TEST_LIBS)
