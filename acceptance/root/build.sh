# Builds a root into the directory DIR; started in mount and process
# namespaces of its own.
#   build.sh SUITE DIR MIRROR SETUP PACKAGE…
set -eu
suite=$1 dir=$2 mirror=$3 setup=$4
shift 4
debootstrap --variant=minbase "$suite" "$dir" "$mirror"
mount --bind /dev "$dir/dev"
mount -t proc proc "$dir/proc"
rm -f "$dir/etc/resolv.conf"
cp -L /etc/resolv.conf "$dir/etc/resolv.conf"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# The archive's own Release file of sid can be past its Valid-Until. That
# exception holds for these two commands, on sources that are gone afterwards.
apt="apt-get -qq -o Acquire::Check-Valid-Until=false -o Dpkg::Options::=--force-unsafe-io"
if [ $# -gt 0 ]; then
	chroot "$dir" $apt update
	chroot "$dir" $apt install -y --no-install-recommends "$@"
fi
printf '%s\n' "$setup" | chroot "$dir" sh -eu
chroot "$dir" apt-get clean
rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/debconf/*-old "$dir"/var/log/*.log
# Tests install what they bring along and nothing else.
rm -f "$dir/etc/apt/sources.list" "$dir"/etc/apt/sources.list.d/*
umount "$dir/proc" "$dir/dev"
