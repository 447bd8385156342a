package signing

// LockFolder is what another process does that changes a store.
func LockFolder(dir string) (unlock func() error, err error) { return lockFolder(dir) }
