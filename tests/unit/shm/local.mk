# Unit tests of shm.
RF_SHM_TESTS = tests/unit/shm/test_lock tests/unit/shm/test_ring tests/unit/shm/test_slab tests/unit/shm/test_hash tests/unit/shm/test_wheel tests/unit/shm/test_recover
check_PROGRAMS += $(RF_SHM_TESTS)
TESTS += $(RF_SHM_TESTS)
RF_SHM_FIXTURE = tests/unit/shm/fixture.c tests/unit/shm/fixture.h

tests_unit_shm_test_slab_SOURCES = tests/unit/shm/test_slab.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_slab_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_slab_LDADD = $(RF_TEST_LIBS)
tests_unit_shm_test_hash_SOURCES = tests/unit/shm/test_hash.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_hash_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_hash_LDADD = $(RF_TEST_LIBS)
tests_unit_shm_test_wheel_SOURCES = tests/unit/shm/test_wheel.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_wheel_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_wheel_LDADD = $(RF_TEST_LIBS)
tests_unit_shm_test_recover_SOURCES = tests/unit/shm/test_recover.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_recover_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_recover_LDADD = $(RF_TEST_LIBS)
tests_unit_shm_test_lock_SOURCES = tests/unit/shm/test_lock.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_lock_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_lock_LDADD = $(RF_TEST_LIBS)
tests_unit_shm_test_ring_SOURCES = tests/unit/shm/test_ring.c $(RF_SHM_FIXTURE)
tests_unit_shm_test_ring_CFLAGS = $(RF_TEST_FLAGS)
tests_unit_shm_test_ring_LDADD = $(RF_TEST_LIBS)
