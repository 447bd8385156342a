package storage

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// maxSaid is how much of what ssh says is kept for the error text.
const maxSaid = 2 << 10

// closeWait is how long a program has to end by itself.
const closeWait = 5 * time.Second

// A session is a running ssh, or what stands in for it, and the protocol on
// its pipes.
type session struct {
	*sftp.Client
	*wire
	stall time.Duration
	cmd   *exec.Cmd
	said  *tail
	pipe  io.Closer // to the standard input of the program
	kill  func()    // ends everything that waits
	once  sync.Once // over closing
}

// startSession runs the program and greets the server.
func startSession(ctx context.Context, c SFTPConfig, w *wire) (*session, error) {
	se := &session{wire: w, stall: c.Stall, said: &tail{}}
	se.cmd = exec.Command(c.Command[0], c.Command[1:]...)
	ownGroup(se.cmd)
	se.cmd.Stderr = se.said
	se.cmd.WaitDelay = time.Second // a shared connection of ssh keeps our pipes
	in, err := se.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Command[0], err)
	}
	out, err := se.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Command[0], err)
	}
	se.pipe = in
	se.kill = func() {
		w.broken.Store(true)
		w.end()
		_ = se.cmd.Process.Kill() // it may have ended already
		_ = out.Close()           // a child of it may hold the other end
		_ = in.Close()
	}
	if err := se.cmd.Start(); err != nil {
		w.end()
		return nil, fmt.Errorf("starting %s: %w: %w", c.Command[0], ErrUnreachable, err)
	}
	release := se.guard(ctx)
	se.Client, err = sftp.NewClientPipe(wireReader{se, out}, wireWriter{se, in}, sftp.UseConcurrentWrites(true))
	release()
	if err == nil {
		return se, nil
	}
	se.close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, se.refused(err)
}

// dead reports whether the connection is of no more use.
func (se *session) dead() bool { return se.broken.Load() }

// lost is the error of a connection that broke: one that may pass.
func (se *session) lost(err error) error {
	if said := se.said.String(); said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return again(err)
}

// refused is the error of a connection that did not come about: one that may
// pass, unless ssh says that it is not let in, or does not trust the host.
func (se *session) refused(err error) error {
	said := se.said.String()
	for _, word := range []string{"Permission denied", "Host key verification failed", "Too many authentication failures"} {
		if strings.Contains(said, word) {
			return fmt.Errorf("%w: %s", ErrDenied, said)
		}
	}
	return se.lost(err)
}

// guard ends the connection when the context ends, or when nothing moves on
// it for too long, until it is released.
func (se *session) guard(ctx context.Context) (release func()) {
	se.touch()
	stop := context.AfterFunc(ctx, se.kill)
	var mu sync.Mutex
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(se.stall, func() {
		mu.Lock()
		defer mu.Unlock()
		if left := se.stall - se.silent(); left > 0 {
			timer.Reset(left)
			return
		}
		se.kill()
	})
	return func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}

// close ends the program and waits for that. A healthy one ends by itself
// when its standard input does.
func (se *session) close() {
	se.once.Do(func() {
		if se.dead() {
			se.kill()
		}
		_ = se.pipe.Close()
		timer := time.AfterFunc(closeWait, se.kill)
		if se.Client != nil {
			_ = se.Client.Close() // the end of a connection has no more to say
		}
		_ = se.cmd.Wait() // as above
		timer.Stop()
		se.broken.Store(true)
		se.end()
	})
}

// wireReader reads from the program.
type wireReader struct {
	*session
	from io.Reader
}

func (r wireReader) Read(p []byte) (int, error) { return r.read(p, r.from.Read) }

// wireWriter writes to the program.
type wireWriter struct {
	*session
	to io.WriteCloser
}

func (w wireWriter) Write(p []byte) (int, error) { return w.write(p, w.to.Write) }

func (w wireWriter) Close() error { return w.to.Close() }

// A tail keeps the last words that a program said, on one line.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - maxSaid; n > 0 {
		t.text = t.text[n:]
	}
	return len(p), nil
}

// String is what was said.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.FieldsFunc(string(t.text), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
