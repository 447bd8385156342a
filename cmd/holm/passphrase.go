package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// maxPassphraseBytes bounds what is read as a passphrase: enough for any key
// file, and no accident with a large one.
const maxPassphraseBytes = 4096

// A passphraseSource is where the flags say that the passphrase comes from.
// It never comes as an argument: every user of the machine can see those.
type passphraseSource struct {
	file string
	fd   int
}

func (s *passphraseSource) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "passphrase-file", "", "read the passphrase from a `file`")
	cmd.Flags().IntVar(&s.fd, "passphrase-fd", -1, "read the passphrase from an open file `descriptor`, 0 is standard input")
}

// read returns the passphrase: from the descriptor, the file, the file named
// by HOLM_PASSPHRASE_FILE, or a prompt, which asks twice if the passphrase is
// a new one, and does not ask if what it is for would be refused anyhow:
// foreseen says so.
func (s *passphraseSource) read(a *app, cmd *cobra.Command, isNew bool, foreseen func() error) ([]byte, error) {
	file := s.file
	if file == "" && !cmd.Flags().Changed("passphrase-file") && s.fd < 0 {
		file = a.env("HOLM_PASSPHRASE_FILE")
	}
	switch {
	case s.file != "" && cmd.Flags().Changed("passphrase-fd"):
		return nil, usage(cmd, "--passphrase-file and --passphrase-fd contradict each other")
	case s.fd >= 0:
		f := os.Stdin
		if s.fd > 0 {
			f = os.NewFile(uintptr(s.fd), fmt.Sprintf("descriptor %d", s.fd))
			defer f.Close()
		}
		return passphraseFrom(cmd.Context(), f, fmt.Sprintf("descriptor %d", s.fd))
	case cmd.Flags().Changed("passphrase-fd"):
		return nil, usage(cmd, "--passphrase-fd takes a number from 0 on")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		defer f.Close()
		return passphraseFrom(cmd.Context(), f, file)
	case cmd.Flags().Changed("passphrase-file"):
		return nil, usage(cmd, "--passphrase-file is empty")
	}
	if err := foreseen(); err != nil {
		return nil, err
	}
	return a.ui.askPassphrase(cmd.Context(), isNew)
}

// passphraseFrom reads one line, whose line end does not belong to it.
func passphraseFrom(ctx context.Context, r io.Reader, where string) ([]byte, error) {
	data, err := interruptible(ctx, func() ([]byte, error) {
		return io.ReadAll(io.LimitReader(r, maxPassphraseBytes+3))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	pass := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if err := checkPassphrase(pass); err != nil {
		return nil, fmt.Errorf("reading the passphrase from %s: %w", where, err)
	}
	return pass, nil
}

var (
	errPassphraseEmpty = errors.New("it is empty")
	errPassphraseLong  = fmt.Errorf("it is longer than %d bytes", maxPassphraseBytes)
	errPassphraseLines = errors.New("it has more than one line")
	errPassphraseText  = errors.New("it is not text in UTF-8")
)

// checkPassphrase refuses what nobody can have meant, and what could not be
// typed at a prompt on another machine.
func checkPassphrase(pass []byte) error {
	switch {
	case len(pass) == 0:
		return errPassphraseEmpty
	case len(pass) > maxPassphraseBytes:
		return errPassphraseLong
	case bytes.ContainsAny(pass, "\r\n\x00"):
		return errPassphraseLines
	case !utf8.Valid(pass):
		return errPassphraseText
	}
	return nil
}

// interruptible waits for a reading that nothing can end but its input, or
// for the signal that ends the program: then the reading goes on in the
// background until the program is gone.
func interruptible(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type reply struct {
		data []byte
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		data, err := read()
		replies <- reply{data, err}
	}()
	select {
	case r := <-replies:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
