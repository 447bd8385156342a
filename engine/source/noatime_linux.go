package source

import "golang.org/x/sys/unix"

// openNoAccessTime asks the kernel to leave the access time alone.
const openNoAccessTime = unix.O_NOATIME
