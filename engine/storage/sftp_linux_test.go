package storage_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"holm.example/engine/storage"
)

// TestFullDiskOfAServerIsToldAsSuch has sftp-server, which can only say
// "Failure", write to a small file system in memory.
func TestFullDiskOfAServerIsToldAsSuch(t *testing.T) {
	needServer(t, sftpServer)
	root := t.TempDir()
	onOwnThread(t, func() error {
		if err := mountSmall(root, "size=1m"); err != nil {
			return err
		}
		// The server is started from this thread, and so sees its mounts.
		vault := filepath.Join(root, "vault")
		s := openSFTP(t, storage.SFTPConfig{Command: []string{sftpServer}, Root: vault})
		if err := s.Create(t.Context()); err != nil {
			return err
		}
		small, large := bytes.Repeat([]byte{1}, 256<<10), bytes.Repeat([]byte{2}, 900<<10)
		if err := s.Put(t.Context(), "packs/small", storage.Body(small)); err != nil {
			return err
		}
		if err := s.Put(t.Context(), "packs/large", storage.Body(large)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Put on a full disk: %v, want ENOSPC", err)
		}
		if got := everything(t, vault); !slices.Equal(got, []string{"packs/small"}) {
			t.Errorf("files on the full disk: %q, want packs/small alone", got)
		}
		if err := s.Delete(t.Context(), "packs/small"); err != nil {
			t.Errorf("Delete on a full disk: %v", err)
		}
		if err := s.Put(t.Context(), "packs/large", storage.Body(large)); err != nil {
			t.Errorf("Put after making room: %v", err)
		}
		return nil
	})
}

// TestOtherFailureOfAServerWithRoomIsNoFullDisk is what an exceeded quota
// looks like too: the protocol has no word for it, and the disk has room.
func TestOtherFailureOfAServerWithRoomIsNoFullDisk(t *testing.T) {
	needServer(t, sftpServer)
	root := filepath.Join(t.TempDir(), "vault")
	// The largest file that the server may write, in blocks of 512 bytes; the
	// signal is ignored, so that its write fails as over a quota.
	s := sftpPlace(t, root, "/bin/sh", "-c", `trap "" XFSZ; ulimit -f 512; exec "$1"`, "sh", sftpServer)()
	err := s.Put(t.Context(), "packs/large", storage.Body(make([]byte, 900<<10)))
	if err == nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrDenied) {
		t.Errorf("Put: %v, want a failure that is none of a full disk, of rights or of the network", err)
	}
	if got := everything(t, root); len(got) != 0 {
		t.Errorf("files: %q, want none", got)
	}
}
