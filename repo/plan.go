package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// The stages of a publish, in the order of docs/repo-layout.md, section 5.
const (
	stageFiles   = iota // packages and artifacts
	stageIndexes        // what is named by its content or its revision
	stageSwitch         // the pointers
	stages
)

// A step is one write.
type step struct {
	name string // what it changes
	run  func(ctx context.Context, s Site) error
}

// A plan is everything that a publish is going to write.
type plan struct {
	steps [stages][]step
	// pointers are the SHA-256 of what the last stage makes visible, for
	// publish/head.
	pointers map[string]string
}

func (p *plan) add(stage int, name string, run func(ctx context.Context, s Site) error) {
	p.steps[stage] = append(p.steps[stage], step{name, run})
}

// put plans a small file.
func (p *plan) put(stage int, name string, data []byte) {
	p.add(stage, name, func(ctx context.Context, s Site) error { return s.Put(ctx, name, bytes.NewReader(data)) })
}

// point plans a pointer: a file that a client asks for by a fixed name.
func (p *plan) point(name string, data []byte) {
	p.pointers[name] = hexSum(data)
	p.put(stageSwitch, name, data)
}

// upload plans a file that is read when it is written.
func (p *plan) upload(name string, open func() (io.ReadCloser, error)) {
	p.add(stageFiles, name, func(ctx context.Context, s Site) error {
		body, err := open()
		if err != nil {
			return err
		}
		defer body.Close()
		return s.Put(ctx, name, body)
	})
}

// link plans another name for a file.
func (p *plan) link(name, from string) {
	p.add(stageFiles, name, func(ctx context.Context, s Site) error { return s.Copy(ctx, name, from) })
}

// alias plans another name for a directory; probe names the file in it, with
// its bytes to come, by which others see that the alias has changed.
func (p *plan) alias(name, dir, probe string, data []byte) {
	p.pointers[name+"/"+probe] = hexSum(data)
	p.add(stageSwitch, name, func(ctx context.Context, s Site) error { return s.Alias(ctx, name, dir) })
}

// empty reports whether there is nothing to write.
func (p *plan) empty() bool {
	for _, steps := range p.steps {
		if len(steps) > 0 {
			return false
		}
	}
	return true
}

// run writes everything, in order, and returns the names that were written.
func (p *plan) run(ctx context.Context, s Site) (written []string, err error) {
	for _, steps := range p.steps {
		for _, st := range steps {
			if err := ctx.Err(); err != nil {
				return written, err
			}
			if err := st.run(ctx, s); err != nil {
				return written, fmt.Errorf("writing %s: %w", st.name, err)
			}
			written = append(written, st.name)
		}
	}
	return written, nil
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
