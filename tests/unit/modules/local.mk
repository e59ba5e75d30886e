# Unit tests of modules.

check_PROGRAMS += tests/unit/modules/test_usrloc
TESTS += tests/unit/modules/test_usrloc
tests_unit_modules_test_usrloc_SOURCES = tests/unit/modules/test_usrloc.c $(RF_USRLOC_PARTS)
tests_unit_modules_test_usrloc_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_usrloc_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/modules/test_htable
TESTS += tests/unit/modules/test_htable
tests_unit_modules_test_htable_SOURCES = tests/unit/modules/test_htable.c modules/htable/table.c modules/htable/def.c
tests_unit_modules_test_htable_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_htable_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_jsonrpcs
TESTS += tests/unit/modules/test_jsonrpcs
tests_unit_modules_test_jsonrpcs_SOURCES = tests/unit/modules/test_jsonrpcs.c modules/jsonrpcs/jr_fifo.c modules/jsonrpcs/jr_sock.c
tests_unit_modules_test_jsonrpcs_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_jsonrpcs_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/modules/test_rr tests/unit/modules/test_maxfwd
TESTS += tests/unit/modules/test_rr tests/unit/modules/test_maxfwd
tests_unit_modules_test_rr_SOURCES = tests/unit/modules/test_rr.c modules/rr/rr.c modules/outbound/outbound.c
tests_unit_modules_test_rr_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_rr_LDADD = $(RF_TEST_LIBS)
tests_unit_modules_test_maxfwd_SOURCES = tests/unit/modules/test_maxfwd.c modules/maxfwd/maxfwd.c
tests_unit_modules_test_maxfwd_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_maxfwd_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/modules/test_pike
TESTS += tests/unit/modules/test_pike
tests_unit_modules_test_pike_SOURCES = tests/unit/modules/test_pike.c modules/pike/tree.c
tests_unit_modules_test_pike_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_pike_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_usrloc_db
TESTS += tests/unit/modules/test_usrloc_db
tests_unit_modules_test_usrloc_db_SOURCES = tests/unit/modules/test_usrloc_db.c $(RF_USRLOC_PARTS)
tests_unit_modules_test_usrloc_db_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_usrloc_db_LDADD = $(RF_TEST_LIBS)
check_PROGRAMS += tests/unit/modules/test_auth
TESTS += tests/unit/modules/test_auth
tests_unit_modules_test_auth_SOURCES = tests/unit/modules/test_auth.c modules/auth/auth.c modules/auth/nonce.c modules/auth/digest.c modules/auth/challenge.c modules/auth_db/cache.c
tests_unit_modules_test_auth_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_auth_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_registrar
TESTS += tests/unit/modules/test_registrar
tests_unit_modules_test_registrar_SOURCES = tests/unit/modules/test_registrar.c modules/usrloc/usrloc.c $(RF_USRLOC_PARTS) \
	modules/usrloc/ul_rpc.c modules/registrar/registrar.c modules/registrar/reg_save.c \
	modules/registrar/reg_reply.c modules/registrar/reg_lookup.c modules/registrar/reg_ulc.c
tests_unit_modules_test_registrar_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_registrar_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_kex_xlog
TESTS += tests/unit/modules/test_kex_xlog
tests_unit_modules_test_kex_xlog_SOURCES = tests/unit/modules/test_kex_xlog.c modules/kex/kex.c modules/kex/kex_mem.c modules/xlog/xlog.c $(RF_MODULE_PV)
tests_unit_modules_test_kex_xlog_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_kex_xlog_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_textopsx
TESTS += tests/unit/modules/test_textopsx
tests_unit_modules_test_textopsx_SOURCES = tests/unit/modules/test_textopsx.c $(RF_MODULE_TEXTOPSX)
tests_unit_modules_test_textopsx_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_textopsx_LDADD = $(RF_TEST_LIBS)

check_PROGRAMS += tests/unit/modules/test_full
TESTS += tests/unit/modules/test_full
tests_unit_modules_test_full_SOURCES = tests/unit/modules/test_full.c $(RF_USRLOC_PARTS) modules/htable/table.c modules/htable/def.c \
	modules/pike/tree.c modules/auth_db/cache.c
tests_unit_modules_test_full_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_modules_test_full_LDADD = $(RF_TEST_LIBS)
