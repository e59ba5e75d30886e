libtest_a_SOURCES += tests/lib/test_main.c tests/lib/test_main.h
libtest_a_SOURCES += tests/lib/fail_alloc.c tests/lib/fail_alloc.h
libtest_a_SOURCES += tests/lib/test_var.h tests/lib/free_port.h tests/lib/hosts.h
