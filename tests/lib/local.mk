libtest_a_SOURCES += tests/lib/test_main.c tests/lib/test_main.h
