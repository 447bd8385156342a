#!/bin/sh
# Installs what the tests use besides Go, git and make: the checkers of
# packages and signatures, debootstrap for the systems of the acceptance tests,
# strace for power cuts, file systems that fold names, OpenSSH, qemu-user for other processors, wine for Windows
# where it is new enough, and a C compiler for the race detector. Installs only what is missing, as root or by sudo; without
# either, or on a system without apt, it says what is left out, and fails if
# CI=true. First it builds versitygw, an S3 service, of one version, into the
# user's cache: no Debian packages one that creates an object only once.
set -eu

versity=github.com/versity/versitygw/cmd/versitygw@v1.8.0
tools=${XDG_CACHE_HOME:-$HOME/.cache}/holm/tools
if [ "$(cat "$tools/versitygw.version" 2>/dev/null)" != "$versity" ] || [ ! -x "$tools/versitygw" ]; then
	echo "building $versity" >&2
	if GOBIN=$tools GOFLAGS='' go install -ldflags='-s -w' "$versity"; then
		echo "$versity" >"$tools/versitygw.version"
	else
		echo 'left out: versitygw; the tests that need it are skipped by name' >&2
		[ "${CI:-}" != true ] || exit 1
	fi
fi

packages='debootstrap debian-archive-keyring zstd util-linux tar cpio ca-certificates rpm rpm2cpio createrepo-c gnupg gpgv sq sqv lintian rpmlint man-db strace qemu-user gcc libc6-dev xfsprogs btrfs-progs dosfstools exfatprogs exfat-fuse ntfs-3g openssh-client openssh-server openssh-sftp-server'

# Go programs for Windows run under wine 10 and newer.
wine=$(apt-cache policy wine64 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*\).*/\1/p')
if [ "${wine:-0}" -ge 10 ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
	packages="$packages wine64"
fi

missing=''
for package in $packages; do
	status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
	if [ "$status" != installed ]; then
		missing="$missing $package"
	fi
done
[ -n "$missing" ] || exit 0

give_up() {
	echo "left out, because $1:$missing" >&2
	echo "the tests that need them are skipped by name" >&2
	if [ "${CI:-}" = true ]; then
		exit 1
	fi
	exit 0
}

command -v apt-get >/dev/null || give_up 'this system has no apt-get'
if [ "$(id -u)" = 0 ]; then
	as_root=''
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root='sudo -n'
else
	give_up 'neither root nor sudo is at hand'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "installing$missing" >&2
if ! { $as_root apt-get -qq update &&
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	give_up 'apt-get could not install them'
fi
