# SPDX-License-Identifier: BSD-2-Clause
# Shared by quickstart, check and the CI: installing packages and building.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
	echo "$0: $*" >&2
	exit 1
}

# install_packages CLASS...: installs what contrib/packages lists under those classes and is missing.
install_packages() {
	local want="" missing="" class pkg log=${TMPDIR:-/tmp}/ringfort-apt.log
	for class in "$@"; do
		want="$want $(sed -n "s/^$class //p" "$top/contrib/packages")"
	done
	for pkg in $want; do
		dpkg-query -W -f='${Status}' "$pkg" 2>/dev/null | grep -q 'ok installed' || missing="$missing $pkg"
	done
	[ -z "$missing" ] && return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing, install them as root: apt-get install$missing"
	echo "installing:$missing"
	# shellcheck disable=SC2086
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing; } >"$log" 2>&1 || {
		tail -20 "$log" >&2
		die "apt-get failed"
	}
}

# build DIR [configure arguments]: builds out of the tree into DIR.
build() {
	local dir=$1
	shift
	if [ ! -x "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
		(cd "$top" && autoreconf -fi >/dev/null 2>&1) || die "autoreconf failed: run it in $top to see why"
	fi
	mkdir -p "$dir"
	if [ ! -f "$dir/Makefile" ]; then
		(cd "$dir" && "$top/configure" -q "$@" >configure.log 2>&1) || {
			tail -20 "$dir/configure.log" >&2
			die "configure failed, see $dir/configure.log"
		}
	fi
	make -s -C "$dir" -j"$(nproc)" >"$dir/make.log" 2>&1 || {
		tail -30 "$dir/make.log" >&2
		die "the build failed, see $dir/make.log"
	}
}
