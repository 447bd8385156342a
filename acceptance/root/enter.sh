# Runs a command in a root; started in mount and process namespaces of its own,
# so that every mount made here ends with the command.
#   enter.sh ROOT LOWER UPPER WORK COMMAND…    LOWER empty: ROOT is a full copy
set -eu
root=$1 lower=$2 upper=$3 work=$4
shift 4
if [ -n "$lower" ]; then
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
fi
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
