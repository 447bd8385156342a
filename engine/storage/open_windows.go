package storage

// openWithoutWaiting is nothing here: Windows has no FIFOs in directories.
const openWithoutWaiting = 0
