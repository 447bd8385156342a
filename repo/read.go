package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"holm.example/repo/yum"
)

// Limits of small files, in bytes.
const (
	maxSmall = 1 << 20 // pointers, signatures, key files, SHA256SUMS, pages
	maxHead  = 4 << 20
)

// errTooLong says that a file of a site is longer than it may be.
var errTooLong = errors.New("longer than allowed")

// readFile reads a whole file of at most limit bytes.
func readFile(ctx context.Context, r Reader, name string, limit int64) ([]byte, error) {
	f, err := r.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading %s: %w: %d bytes", name, errTooLong, limit)
	}
	return data, nil
}

// readIfThere is readFile, with nil for a file that is not there.
func readIfThere(ctx context.Context, r Reader, name string, limit int64) ([]byte, error) {
	data, err := readFile(ctx, r, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

// holds reports whether a file is there with exactly these bytes.
func holds(ctx context.Context, r Reader, name string, data []byte) (bool, error) {
	have, err := readIfThere(ctx, r, name, int64(len(data))+1)
	if errors.Is(err, errTooLong) {
		return false, nil
	}
	return have != nil && bytes.Equal(have, data), err
}

// maxSummed bounds a file that is only compared, in bytes: no artifact of a
// release is longer, and a hostile server could send without end.
const maxSummed = yum.MaxPackageBytes

// sumOf returns the SHA-256 of a file, and false if it is not there.
func sumOf(ctx context.Context, r Reader, name string) (sum [32]byte, there bool, err error) {
	f, err := r.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return sum, false, nil
	}
	if err != nil {
		return sum, false, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxSummed+1))
	if err != nil {
		return sum, false, fmt.Errorf("reading %s: %w", name, err)
	}
	if n > maxSummed {
		return sum, false, fmt.Errorf("reading %s: %w: more than %d bytes", name, errTooLong, int64(maxSummed))
	}
	h.Sum(sum[:0])
	return sum, true, nil
}

// open opens an artifact so that reading fails, rather than ends, where its
// bytes are not those that the release names.
func (a Artifact) open() (io.ReadCloser, error) {
	f, err := a.Open()
	if err != nil {
		return nil, fmt.Errorf("reading artifact %s: %w", a.Name, err)
	}
	return &checkedReader{a: a, f: f, sum: sha256.New()}, nil
}

type checkedReader struct {
	a   Artifact
	f   io.ReadCloser
	n   int64
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *checkedReader) Close() error { return c.f.Close() }

func (c *checkedReader) Read(b []byte) (int, error) {
	n, err := c.f.Read(b)
	c.n += int64(n)
	c.sum.Write(b[:n])
	if c.n > c.a.Size || errors.Is(err, io.EOF) && (c.n != c.a.Size || !bytes.Equal(c.sum.Sum(nil), c.a.SHA256[:])) {
		return n, fmt.Errorf("%w: %s has another size or SHA-256", ErrArtifact, c.a.Name)
	}
	return n, err
}
