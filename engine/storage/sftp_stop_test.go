package storage_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holm.example/engine/storage"
)

// stopVariable names the file that tells this program to be an sftp-server that is killed.
const stopVariable = "HOLM_TEST_SFTP_STOP"

func TestMain(m *testing.M) {
	if plan := os.Getenv(stopVariable); plan != "" {
		os.Exit(serveUntilStopped(plan))
	}
	os.Exit(m.Run())
}

// serveUntilStopped passes requests on to a real sftp-server. The plan, if there is one, says at which request to kill that, before it gets there or
// when it is answered; it is carried out once. The requests are written down beside it.
func serveUntilStopped(plan string) int {
	var at int64 = -1
	var when string
	if b, err := os.ReadFile(plan); err == nil {
		if _, err := fmt.Sscan(string(b), &at, &when); err != nil {
			return 2
		}
	}
	server := exec.Command(sftpServer)
	in, inErr := server.StdinPipe()
	out, outErr := server.StdoutPipe()
	journal, err := os.OpenFile(plan+".requests", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err := errors.Join(inErr, outErr, err); err != nil {
		return 2
	}
	if err := server.Start(); err != nil {
		return 2
	}
	stop := func() {
		os.Remove(plan)
		server.Process.Kill()
		server.Process.Wait() // it is gone before anybody hears of it
		os.Exit(1)
	}
	var answer atomic.Uint32 // the number that the answer has at which to stop
	go func() {
		for {
			packet, err := readPacket(out)
			if err != nil {
				os.Exit(0)
			}
			if id := answer.Load(); id != 0 && binary.BigEndian.Uint32(packet[5:]) == id && packet[4] > 100 {
				stop()
			}
			if _, err := os.Stdout.Write(packet); err != nil {
				os.Exit(1)
			}
		}
	}()
	for n := int64(0); ; n++ {
		packet, err := readPacket(os.Stdin)
		if err != nil {
			in.Close()
			select {} // until the server has ended
		}
		fmt.Fprintln(journal, requestName(packet))
		if n == at && when == "before" {
			stop()
		}
		if n == at {
			answer.Store(binary.BigEndian.Uint32(packet[5:]))
		}
		if _, err := in.Write(packet); err != nil {
			return 1
		}
	}
}

// readPacket reads a packet with its length.
func readPacket(r io.Reader) ([]byte, error) {
	packet := make([]byte, 4)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, err
	}
	packet = append(packet, make([]byte, binary.BigEndian.Uint32(packet))...)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}

// requestName is a word for a request: its number in the protocol, or the name of the extension.
func requestName(packet []byte) string {
	if packet[4] != 200 {
		return fmt.Sprint(packet[4])
	}
	return string(packet[13 : 13+binary.BigEndian.Uint32(packet[9:])])
}

// overwriting is a store with one object, and a server that is killed as planned.
type overwriting struct {
	root, plan, name string
	old, fresh       []byte
}

func newOverwriting(t *testing.T) overwriting {
	needServer(t, sftpServer)
	dir := t.TempDir()
	o := overwriting{filepath.Join(dir, "vault"), filepath.Join(dir, "plan"), "devices/d/journal/000000000000/0001",
		bytes.Repeat([]byte("old "), 30_000), bytes.Repeat([]byte("the new one "), 15_000)}
	put(t, sftpPlace(t, o.root, sftpServer)(), o.name, string(o.old))
	t.Setenv(stopVariable, o.plan)
	return o
}

// stopping opens the store with a server that is killed once at that request.
func (o overwriting) stopping(t *testing.T, request int, when string) *storage.SFTP {
	t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.WriteFile(o.plan, fmt.Appendf(nil, "%d %s", request, when), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return openSFTP(t, storage.SFTPConfig{Command: []string{self}, Root: o.root})
}

// stopped reports whether the server was killed.
func (o overwriting) stopped() bool {
	_, err := os.Stat(o.plan)
	return errors.Is(err, os.ErrNotExist)
}

// clean says what is wrong when the new object should be there and, once it is tidied up, nothing else.
func (o overwriting) clean(t *testing.T, s storage.Store) error {
	got, err := s.Get(t.Context(), o.name, 1<<20)
	if err == nil && !bytes.Equal(got, o.fresh) {
		err = errors.New("other bytes")
	}
	if err == nil {
		err = storage.Tidy(t.Context(), s, o.name, time.Now().Add(time.Hour))
	}
	if left := everything(t, o.root); len(left) != 1 {
		err = errors.Join(err, fmt.Errorf("files: %q", left))
	}
	return err
}

func TestServerThatIsKilledAnywhereInAnOverwriteLeavesTheOldOrTheNewObject(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		o, moved := newOverwriting(t), 0
		for n := 1; ; n++ { // request 0 is the greeting
			if err := os.WriteFile(filepath.Join(o.root, o.name), o.old, 0o600); err != nil {
				t.Fatal(err)
			}
			s := o.stopping(t, n, when)
			err := storage.Overwrite(t.Context(), s, o.name, storage.Body(o.fresh))
			if !o.stopped() {
				if err != nil || n < 10 || moved == 0 {
					t.Errorf("%s request %d it is not killed: %v, %d times the new object", when, n, err, moved)
				}
				break
			}
			if !errors.Is(err, storage.ErrUnreachable) {
				t.Errorf("killed %s request %d: %v", when, n, err)
			}
			got, err := os.ReadFile(filepath.Join(o.root, o.name))
			if isNew := bytes.Equal(got, o.fresh); isNew {
				moved++
			} else if err != nil || moved > 0 || !bytes.Equal(got, o.old) {
				t.Errorf("killed %s request %d: %d bytes are left, %v, after %d times the new object", when, n, len(got), err, moved)
			}
			if err := storage.Overwrite(t.Context(), s, o.name, storage.Body(o.fresh)); err != nil { // on a new connection
				t.Errorf("killed %s request %d: the next one: %v", when, n, err)
			}
			if err := o.clean(t, s); err != nil {
				t.Errorf("killed %s request %d: in the end %v", when, n, err)
			}
		}
	}
}

func TestOverwriteThatIsAskedAgainAfterTheServerWasKilledSucceeds(t *testing.T) {
	o := newOverwriting(t)
	for n := 0; ; n++ {
		if err := os.WriteFile(filepath.Join(o.root, o.name), o.old, 0o600); err != nil {
			t.Fatal(err)
		}
		s := storage.NewRetry(o.stopping(t, n, "before"), storage.RetryOptions{Sleep: noSleep})
		if err := storage.Overwrite(t.Context(), s, o.name, storage.Body(o.fresh)); err != nil {
			t.Errorf("killed before request %d: %v", n, err)
		}
		if !o.stopped() {
			break
		}
		if err := o.clean(t, s); err != nil {
			t.Errorf("killed before request %d: in the end %v", n, err)
		}
	}
}

// What a killed server leaves a power cut may take: the content is on the disk before it has its name, and the name before anybody is told.
func TestOverwriteSyncsTheContentBeforeItsNameAndTheNameThen(t *testing.T) {
	o := newOverwriting(t)
	s := o.stopping(t, 1<<20, "before")
	if err := storage.Overwrite(t.Context(), s, o.name, storage.Body(o.fresh)); err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(readFile(t, o.plan+".requests"))
	const write, sync, rename = "6", "fsync@openssh.com", "posix-rename@openssh.com"
	first := slices.Index(all, write)
	var order []string
	for _, r := range slices.Compact(all[max(0, first):]) {
		if r == write || r == sync || r == rename {
			order = append(order, r)
		}
	}
	if !slices.Equal(order, []string{write, sync, rename, sync}) {
		t.Errorf("requests %q", all)
	}
}

func TestOverwriteOnAServerThatCannotReplaceLeavesTheObjectAlone(t *testing.T) {
	needServer(t, sftpServer)
	root := filepath.Join(t.TempDir(), "vault")
	s := sftpPlace(t, root, sftpServer, "-P", "posix-rename")()
	put(t, s, "keys/a", "old")
	if err := storage.Overwrite(t.Context(), s, "keys/a", storage.Body([]byte("new"))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Overwrite: %v, want ErrUnsupported", err)
	}
	if got := everything(t, root); readFile(t, filepath.Join(root, "keys/a")) != "old" || len(got) != 1 {
		t.Errorf("files: %q", got)
	}
}
