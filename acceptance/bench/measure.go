//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	enter []string // what stands before the words: a shell that ends with entered
}

// entered is the end of a script of sh that enters a root or a cgroup: it says
// so on descriptor 3, where time begins, and becomes the command.
const entered = `printf . >&3; exec 3>&-; exec `

const sampling = 5 * time.Millisecond

// measure runs a command to its end and returns what it took and said. A
// command that fails is an error that holds the end of what it said.
func measure(ctx context.Context, c command) (s sample, said string, err error) {
	words := slices.Concat(c.enter, c.words)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start, err := begin(cmd, len(c.enter) > 0)
	if err != nil {
		return s, "", err
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
	said = strings.TrimSpace(out.String())
	if err != nil {
		return s, said, fmt.Errorf("%s: %w: %s", strings.Join(c.words, " "), err, said[max(0, len(said)-2000):])
	}
	return s, said, nil
}

// begin starts a command and returns when its time begins: at once, or when
// what stands before it has said that it has entered.
func begin(cmd *exec.Cmd, enters bool) (time.Time, error) {
	hear, say, err := os.Pipe()
	if err != nil {
		return time.Time{}, err
	}
	defer hear.Close()
	if enters {
		cmd.ExtraFiles = []*os.File{say}
	}
	start := time.Now()
	err = cmd.Start()
	say.Close()
	if err == nil && enters {
		_, _ = hear.Read(make([]byte, 1)) // one that could not enter says nothing and fails
		start = time.Now()
	}
	return start, err
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
