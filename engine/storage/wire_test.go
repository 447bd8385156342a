package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pipeOn returns a connection with limits and its other end.
func pipeOn(t *testing.T, l Limits, patience time.Duration) (conn net.Conn, other net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return wireConn{a, newWire(newBrake(l.Upload), newBrake(l.Download)), patience}, b
}

func TestLimitsAreKeptInBothDirections(t *testing.T) {
	const size, limit = 60 << 10, 200 << 10
	// The first tenth of a second's bytes pass at once.
	limited := time.Duration(size-limit/10) * time.Second / limit
	for name, c := range map[string]struct {
		limits Limits
		least  time.Duration
	}{"up": {Limits{Upload: limit}, limited}, "down": {Limits{Download: limit}, limited}, "none": {}} {
		synctest.Test(t, func(t *testing.T) { // on a clock of its own
			conn, other := pipeOn(t, c.limits, time.Minute)
			began := time.Now()
			done := make(chan error, 1)
			from, to := other, conn
			if name == "up" {
				from, to = conn, other
			}
			go func() {
				_, err := from.Write(make([]byte, size))
				done <- err
			}()
			got := make([]byte, size)
			if _, err := io.ReadFull(to, got); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began).Round(time.Millisecond); took != c.least.Round(time.Millisecond) {
				t.Errorf("%s: %d bytes in %v, want %v", name, size, took, c.least)
			}
		})
	}
}

func TestSilentConnectionFailsAndABusyOneDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // on a clock of its own
		conn, other := pipeOn(t, Limits{}, 20*time.Second)
		go func() {
			for range 5 { // each well within the patience, all of them beyond it
				time.AfterFunc(8*time.Second, func() { other.Write([]byte("x")) })
				if _, err := other.Read(make([]byte, 1)); err != nil {
					return
				}
			}
		}()
		for range 5 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatalf("a busy connection: %v", err)
			}
			if _, err := conn.Write([]byte("y")); err != nil {
				t.Fatalf("a busy connection: %v", err)
			}
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a silent connection: %v", err)
		}
	})
}

func TestClosedConnectionWaitsForNoLimit(t *testing.T) {
	conn, other := pipeOn(t, Limits{Upload: MinLimit}, time.Minute)
	go io.Copy(io.Discard, other)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Write(bytes.Repeat([]byte("x"), 1<<20)) // seventeen minutes
		done <- err
	}()
	conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Write succeeded on a closed connection")
		}
	case <-ctx.Done():
		t.Error("Write goes on after Close")
	}
}
