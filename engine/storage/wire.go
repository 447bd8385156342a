package storage

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// stall is how long a connection may be silent while somebody waits for it.
const stall = time.Minute

// Limits bound how many bytes a second a store moves over its network
// connections, all of them together; 0 is no bound.
type Limits struct{ Upload, Download int64 }

// MinLimit is the lowest limit: below it a request would look stalled.
const MinLimit = 1 << 10

// A brake makes one direction of a store keep its limit; nil lets all pass.
type brake struct{ limiter *rate.Limiter }

// newBrake lets a tenth of a second's bytes pass at once, so that what else
// uses the line is not kept waiting.
func newBrake(bytesPerSecond int64) *brake {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := max(256, min(bytesPerSecond/10, 64<<10))
	return &brake{rate.NewLimiter(rate.Limit(max(bytesPerSecond, MinLimit)), int(burst))}
}

// piece is how much of p may pass in one step.
func (b *brake) piece(p []byte) []byte {
	if b == nil || len(p) <= b.limiter.Burst() {
		return p
	}
	return p[:b.limiter.Burst()]
}

// wait waits until n bytes, no more than a piece, may pass.
func (b *brake) wait(ctx context.Context, n int) error {
	if b == nil || n <= 0 {
		return nil
	}
	return b.limiter.WaitN(ctx, n)
}

// A wire is a two-way connection that keeps the limits and remembers when
// something moved on it.
type wire struct {
	up, down *brake
	ctx      context.Context // ends with the wire
	end      context.CancelFunc
	start    time.Time
	moved    atomic.Int64 // nanoseconds since start
	broken   atomic.Bool  // a read or write has failed
}

func newWire(up, down *brake) *wire {
	w := &wire{up: up, down: down, start: time.Now()}
	w.ctx, w.end = context.WithCancel(context.Background())
	return w
}

func (w *wire) touch() { w.moved.Store(int64(time.Since(w.start))) }

// silent is how long nothing has moved.
func (w *wire) silent() time.Duration { return time.Since(w.start) - time.Duration(w.moved.Load()) }

// read reads by way of a function.
func (w *wire) read(p []byte, read func([]byte) (int, error)) (int, error) {
	w.touch()
	n, err := read(w.down.piece(p))
	w.touch()
	if err == nil {
		err = w.down.wait(w.ctx, n)
	}
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// write writes all of p by way of a function.
func (w *wire) write(p []byte, write func([]byte) (int, error)) (done int, err error) {
	for first := true; err == nil && (first || done < len(p)); first = false {
		piece := w.up.piece(p[done:])
		if err = w.up.wait(w.ctx, len(piece)); err == nil {
			var n int
			w.touch()
			n, err = write(piece)
			w.touch()
			done += n
		}
	}
	if err != nil {
		w.broken.Store(true)
	}
	return done, err
}

// wireConn is a network connection on a wire. It fails when it is silent for
// too long, in both directions.
type wireConn struct {
	net.Conn
	*wire
	stall time.Duration
}

// moving puts the end of the patience off.
func (c wireConn) moving() error { return c.Conn.SetDeadline(time.Now().Add(c.stall)) }

// Read implements net.Conn.
func (c wireConn) Read(p []byte) (int, error) {
	return c.read(p, func(p []byte) (int, error) {
		if err := c.moving(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		return n, err
	})
}

// Write implements net.Conn.
func (c wireConn) Write(p []byte) (int, error) {
	return c.write(p, func(p []byte) (int, error) {
		if err := c.moving(); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	})
}

// Close implements net.Conn.
func (c wireConn) Close() error {
	c.end()
	return c.Conn.Close()
}

// dialer connects with limits and patience.
func dialer(l Limits, patience time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	up, down := newBrake(l.Upload), newBrake(l.Download)
	d := net.Dialer{Timeout: min(patience, 20*time.Second), KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		return wireConn{c, newWire(up, down), patience}, nil
	}
}
