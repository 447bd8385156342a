//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sample is what one process took.
type sample struct {
	WallSeconds float64
	CPUSeconds  float64
	PeakRSS     int64 // bytes, as the kernel keeps it, read now and then
	PeakAnon    int64 // bytes, read now and then
	AverageAnon int64
}

// command is a program with what it needs to run.
type command struct {
	words []string
	env   []string
	group string // cgroup of the memory controller; empty: none
}

const sampling = 5 * time.Millisecond

// measure runs a command to its end. A command that fails is an error that
// holds what it said.
func measure(ctx context.Context, c command) (s sample, err error) {
	words := c.words
	if c.group != "" {
		words = append([]string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, c.group}, words...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var sum, count int64
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-tick.C:
			if anon, peak, ok := memory(cmd.Process.Pid); ok {
				s.PeakAnon, s.PeakRSS = max(s.PeakAnon, anon), max(s.PeakRSS, peak)
				sum, count = sum+anon, count+1
			}
		}
	}
	s.WallSeconds = time.Since(start).Seconds()
	s.CPUSeconds = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if count > 0 {
		s.AverageAnon = sum / count
	}
	if err != nil {
		out := said.String()
		return s, fmt.Errorf("%s: %w: %s", strings.Join(c.words, " "), err, out[max(0, len(out)-2000):])
	}
	return s, nil
}

// memory is the anonymous memory of a process, and the peak of its resident
// set, in bytes. The peak that wait4 tells is no use: a process begins with
// that of its parent.
func memory(pid int) (anon, peak int64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, false
	}
	field := func(name string) int64 {
		_, rest, found := strings.Cut(string(b), name+":")
		if words := strings.Fields(rest); found && len(words) > 0 {
			n, _ := strconv.ParseInt(words[0], 10, 64) // 0 of what is no number
			return n << 10
		}
		return 0
	}
	anon, peak = field("RssAnon"), field("VmHWM")
	return anon, peak, peak > 0
}

// memoryGroup makes a cgroup that holds that many bytes and no swap, and says
// how to remove it.
func memoryGroup(limit int64) (dir string, remove func(), err error) {
	v1 := "/sys/fs/cgroup/memory"
	if _, err := os.Stat(v1); err == nil {
		dir = filepath.Join(v1, fmt.Sprintf("holm-bench-%d", os.Getpid()))
		err = os.Mkdir(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), strconv.AppendInt(nil, limit, 10), 0o644)
		}
		return dir, func() { os.Remove(dir) }, err
	}
	dir = filepath.Join("/sys/fs/cgroup", fmt.Sprintf("holm-bench-%d", os.Getpid()))
	if err = os.Mkdir(dir, 0o755); err == nil {
		err = os.WriteFile(filepath.Join(dir, "memory.max"), strconv.AppendInt(nil, limit, 10), 0o644)
	}
	return dir, func() { os.Remove(dir) }, err
}
