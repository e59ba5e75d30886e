#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Builds the fuzz targets with clang and libFuzzer, and runs them when asked.
#   tests/fuzz/build.sh OUTDIR [SECONDS [target ...]]
# New inputs go to OUTDIR/corpus/NAME; the stored ones in tests/fuzz/corpus are only read.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: build.sh OUTDIR [SECONDS [target ...]]}
seconds=${2:-0}
[ $# -gt 1 ] && shift 2 || shift $#
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$top"
targets=${*:-$(ls tests/fuzz/fuzz_sip_*.c | sed 's,.*/fuzz_\(.*\)\.c,\1,')}
flags="-std=gnu17 -D_GNU_SOURCE -I. -g -O1 -fno-strict-aliasing -fsanitize=address,undefined -fno-sanitize-recover=undefined"
lib="core/sip/*.c core/base/str.c core/base/strbuf.c core/base/pool.c core/base/diag.c core/base/num.c core/base/scan.c"
for t in $targets; do
	# shellcheck disable=SC2086
	${CLANG:-clang} $flags -fsanitize=fuzzer tests/fuzz/fuzz_"$t".c $lib -o "$out/fuzz_$t"
	[ "$seconds" -gt 0 ] || continue
	mkdir -p "$out/corpus/$t"
	"$out/fuzz_$t" -max_total_time="$seconds" -max_len=4096 -timeout=5 -dict=tests/fuzz/sip.dict \
		-artifact_prefix="$out/$t-" -print_final_stats=1 "$out/corpus/$t" tests/fuzz/corpus/"$t"
done
