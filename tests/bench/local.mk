# Benchmarks: built by name only (make tests/bench/bench_sip), never by check.
EXTRA_PROGRAMS += tests/bench/bench_sip
tests_bench_bench_sip_SOURCES = tests/bench/bench_sip.c
tests_bench_bench_sip_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_sip_LDADD = libringfort.a $(DEPS_LIBS) -ldl
EXTRA_PROGRAMS += tests/bench/rfload
tests_bench_rfload_SOURCES = tests/bench/rfload.c

# Speed beside an installed Kamailio, in one run.
bench: ringfort $(module_PROGRAMS) tests/bench/rfload
	$(top_srcdir)/tests/bench/compare --server ./ringfort --load ./tests/bench/rfload
# What a million contacts cost: some ten minutes, 2 GB of memory.
bench-million: ringfort $(module_PROGRAMS) tests/bench/rfload
	$(top_srcdir)/tests/bench/million --server ./ringfort --load ./tests/bench/rfload
.PHONY: bench bench-million

# What more workers bring.
bench-scale: ringfort $(module_PROGRAMS) tests/bench/rfload
	$(top_srcdir)/tests/bench/scale --server ./ringfort --load ./tests/bench/rfload
.PHONY: bench-scale
