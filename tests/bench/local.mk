# Benchmarks: built by name only (make tests/bench/bench_sip), never by check.
EXTRA_PROGRAMS += tests/bench/bench_sip
tests_bench_bench_sip_SOURCES = tests/bench/bench_sip.c
tests_bench_bench_sip_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_sip_LDADD = libringfort.a $(DEPS_LIBS) -ldl
