package repo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// errOtherBytes: a package is not the one that its index names.
var errOtherBytes = errors.New("has another size or SHA-256 than the index says")

// A fetched is a package on this machine, as its index names it. Close
// removes it.
type fetched struct{ *os.File }

func (f fetched) Close() error {
	return errors.Join(f.File.Close(), os.Remove(f.Name()))
}

// fetch copies a package to this machine and compares it with what a signed
// index says, so that not a byte is parsed that is not signed for, and no
// more is read than there should be. The error is errOtherBytes, or that of
// the site; one of this machine is errTransport.
func (v *verifier) fetch(name string, size int64, sum [32]byte) (_ io.ReadCloser, err error) {
	body, err := v.open(name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	file, err := os.CreateTemp("", "holm-verify-")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTransport, err)
	}
	f := fetched{file}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	have := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, have), io.LimitReader(body, size+1))
	var own *fs.PathError
	if errors.As(err, &own) && own.Path == file.Name() {
		return nil, fmt.Errorf("%w: %w", errTransport, err)
	}
	if err != nil {
		return nil, err
	}
	if n != size || [32]byte(have.Sum(nil)) != sum {
		return nil, errOtherBytes
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%w: %w", errTransport, err)
	}
	return f, nil
}
