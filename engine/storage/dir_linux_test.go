package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holm.example/engine/storage"
)

// onOwnThread runs f on a thread that ends with it, so that nothing f does to
// the privileges or mounts of its thread outlives the test. f reports errors
// with t.Error, or returns one.
func onOwnThread(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		defer close(done)      // also when f ends its goroutine
		runtime.LockOSThread() // never unlocked: the thread ends
		done <- f()
	}()
	if err := <-done; errors.Is(err, errNoPrivilege) {
		t.Skip(err)
	} else if err != nil {
		t.Error(err)
	}
}

var errNoPrivilege = errors.New("this test needs to mount a file system")

// dropOverride takes the right to ignore permissions from this thread.
func dropOverride() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}

// mountSmall mounts a file system in memory on dir, for this thread alone.
func mountSmall(dir, options string) error {
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoPrivilege, err)
	}
	return nil
}

func TestWithoutPermissionEveryOperationSaysSo(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	put(t, d, "keys/a", "x")
	put(t, d, "packs/d/b", "x")
	closed := map[string]fs.FileMode{"keys/a": 0, "keys": 0o500, "packs/d": 0}
	for p, mode := range closed {
		if err := os.Chmod(filepath.Join(root, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	onOwnThread(t, func() error {
		if err := dropOverride(); err != nil {
			return err
		}
		_, getErr := d.Get(t.Context(), "keys/a", 10)
		_, rangeErr := d.GetRange(t.Context(), "packs/d/b", 0, 1)
		var listErr error
		for _, err := range d.List(t.Context(), "packs/") {
			listErr = err
		}
		for what, err := range map[string]error{
			"Get of an unreadable file":         getErr,
			"GetRange in a closed directory":    rangeErr,
			"List of a closed directory":        listErr,
			"Put in a read-only directory":      d.Put(t.Context(), "keys/b", storage.Body(nil)),
			"Delete in a read-only directory":   d.Delete(t.Context(), "keys/a"),
			"Put below a closed directory":      d.Put(t.Context(), "packs/d/c", storage.Body(nil)),
			"Delete of a name behind the doors": d.Delete(t.Context(), "packs/d/b"),
		} {
			if !errors.Is(err, fs.ErrPermission) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrExists) {
				t.Errorf("%s: %v, want fs.ErrPermission", what, err)
			}
		}
		return nil
	})
	for p := range closed {
		if err := os.Chmod(filepath.Join(root, p), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got := everything(t, root); !slices.Contains(got, "keys/a") || len(got) != 2 {
		t.Errorf("files: %q, want the two objects", got)
	}
}

func TestFIFOInTheSlotOfAnObjectHangsNobody(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	fifo := filepath.Join(root, "vault.json")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Skip("no FIFOs here: ", err)
	}
	done := make(chan [2]error, 1)
	go func() {
		_, getErr := d.Get(t.Context(), "vault.json", 100)
		_, rangeErr := d.GetRange(t.Context(), "vault.json", 0, 1)
		done <- [2]error{getErr, rangeErr}
	}()
	select {
	case errs := <-done:
		for _, err := range errs {
			if !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("reading a FIFO: %v, want ErrNotFound", err)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading a FIFO hangs")
	}
}

func TestDiskFullLeavesNoObjectAndRecovers(t *testing.T) {
	root := t.TempDir()
	onOwnThread(t, func() error {
		if err := mountSmall(root, "size=1m"); err != nil {
			return err
		}
		d, err := storage.OpenDir(root)
		if err != nil {
			return err
		}
		small, large := bytes.Repeat([]byte{1}, 256<<10), bytes.Repeat([]byte{2}, 900<<10)
		if err := d.Put(t.Context(), "packs/small", storage.Body(small)); err != nil {
			return err
		}
		if err := d.Put(t.Context(), "packs/large", storage.Body(large)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Put on a full disk: %v, want ENOSPC", err)
		}
		if got := everything(t, root); !slices.Equal(got, []string{"packs/small"}) {
			t.Errorf("files on the full disk: %q, want packs/small alone", got)
		}
		if err := d.Delete(t.Context(), "packs/small"); err != nil {
			t.Errorf("Delete on a full disk: %v", err)
		}
		if err := d.Put(t.Context(), "packs/large", storage.Body(large)); err != nil {
			t.Errorf("Put after making room: %v", err)
		}
		got, err := d.Get(t.Context(), "packs/large", 1<<20)
		if err != nil || !bytes.Equal(got, large) {
			t.Errorf("Get after making room: %d bytes, %v", len(got), err)
		}
		return nil
	})
}

func TestReadOnlyFileSystemIsReadAndNeverWritten(t *testing.T) {
	root := t.TempDir()
	onOwnThread(t, func() error {
		if err := mountSmall(root, "size=1m"); err != nil {
			return err
		}
		d, err := storage.OpenDir(root)
		if err != nil {
			return err
		}
		if err := d.Put(t.Context(), "keys/a", storage.Body([]byte("x"))); err != nil {
			return err
		}
		if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return err
		}
		if d, err = storage.CreateDir(root); err != nil {
			return fmt.Errorf("opening a store that is there, to read it: %w", err)
		}
		if got, err := d.Get(t.Context(), "keys/a", 10); err != nil || string(got) != "x" {
			t.Errorf("Get: %q, %v", got, err)
		}
		for o, err := range d.List(t.Context(), "") {
			if err != nil || o.Name != "keys/a" {
				t.Errorf("List: %v, %v", o, err)
			}
		}
		for what, err := range map[string]error{
			"Put":                    d.Put(t.Context(), "keys/b", storage.Body(nil)),
			"Put in a new directory": d.Put(t.Context(), "packs/b", storage.Body(nil)),
			"Delete":                 d.Delete(t.Context(), "keys/a"),
		} {
			if !errors.Is(err, syscall.EROFS) {
				t.Errorf("%s: %v, want EROFS", what, err)
			}
		}
		if err := d.Put(t.Context(), "keys/a", storage.Body(nil)); !errors.Is(err, storage.ErrExists) {
			t.Errorf("Put of a name that is taken: %v, want ErrExists", err)
		}
		return nil
	})
}

func TestDiskThatIsUnmountedIsOutOfReachThoughItsMountPointStays(t *testing.T) {
	root := t.TempDir()
	onOwnThread(t, func() error {
		if err := mountSmall(root, "size=1m"); err != nil {
			return err
		}
		d, err := storage.OpenDir(root)
		if err == nil {
			err = d.Put(t.Context(), "packs/a", storage.Body([]byte("x")))
		}
		if err == nil {
			err = unix.Unmount(root, 0)
		}
		if err != nil {
			return err
		}
		_, getErr := d.Get(t.Context(), "packs/a", 10)
		_, rangeErr := d.GetRange(t.Context(), "packs/a", 0, 1)
		var listErr error
		for _, err := range d.List(t.Context(), "") {
			listErr = err
		}
		for what, err := range map[string]error{
			"Get": getErr, "GetRange": rangeErr, "List": listErr, "Delete": d.Delete(t.Context(), "packs/a"),
			"Put": d.Put(t.Context(), "packs/b", storage.Body(nil)), "Put in a new directory": d.Put(t.Context(), "keys/b", storage.Body(nil)),
			"Put of the configuration": d.Put(t.Context(), "vault.json", storage.Body(nil)),
			"Overwrite":                d.Overwrite(t.Context(), "packs/a", storage.Body(nil)),
		} {
			if !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s: %v, want ErrUnreachable alone", what, err)
			}
		}
		if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
			t.Errorf("in the mount point is %v, %v", entries, err)
		}
		return nil
	})
}
