package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	headName    = "publish/head"
	headFormat  = "holm-publish-head 1"
	maxPointers = 10000
)

// A head is publish/head: what was published last, and so what every pointer
// should hold. It is not signed, and no client reads it.
type head struct {
	Format   string                 `json:"format"`
	Product  string                 `json:"product"`
	URL      string                 `json:"url"`
	Number   int64                  `json:"number"` // of the publish, from 1
	Channels map[string]headChannel `json:"channels"`
}

type headChannel struct {
	Version  string            `json:"version"` // the newest published
	Commit   string            `json:"commit"`
	Date     time.Time         `json:"date"`
	Revision int64             `json:"revision"` // greatest of the channel
	Pointers map[string]string `json:"pointers"` // name → SHA-256
	Before   headBefore        `json:"before"`   // what was there when the publish began
}

// A headBefore is what a publish that is killed leaves behind.
type headBefore struct {
	Version  string            `json:"version"`
	Pointers map[string]string `json:"pointers"`
}

// parseHead reads publish/head and refuses what no publisher writes.
func parseHead(data []byte) (*head, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var h head
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrForeign, headName, err)
	}
	if h.Format != headFormat || h.Number < 1 || !nameForm.MatchString(h.Product) {
		return nil, fmt.Errorf("%w: %s has format %q", ErrForeign, headName, h.Format)
	}
	for name, c := range h.Channels {
		if !nameForm.MatchString(name) || !versionForm.MatchString(c.Version) || c.Before.Version != "" && !versionForm.MatchString(c.Before.Version) || len(c.Pointers) > maxPointers {
			return nil, fmt.Errorf("%w: %s names channel %q, version %q", ErrForeign, headName, name, c.Version)
		}
	}
	return &h, nil
}

// readHead returns publish/head, an empty one if there is none.
func readHead(ctx context.Context, r Reader) (*head, error) {
	data, err := readIfThere(ctx, r, headName, maxHead)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return &head{Format: headFormat, Channels: map[string]headChannel{}}, nil
	}
	return parseHead(data)
}

// next returns the head of the publish to come.
func (h *head) next(o *Options, number int64, c headChannel) ([]byte, error) {
	out := head{headFormat, o.Product, o.URL, number, maps.Clone(h.Channels)}
	if out.Channels == nil {
		out.Channels = map[string]headChannel{}
	}
	out.Channels[o.Channel] = c
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

// unfinished reports whether pointers still hold what they held before the
// last publish: it is at work, or was killed. foreign are those that hold
// neither that nor what the last publish was going to write.
func (h *head) unfinished(ctx context.Context, r Reader, channel string) (unfinished bool, foreign []string, err error) {
	c := h.Channels[channel]
	for name, want := range c.Pointers {
		sum, there, err := sumOf(ctx, r, name)
		if err != nil {
			return false, nil, err
		}
		before, was := c.Before.Pointers[name]
		switch have := hex.EncodeToString(sum[:]); {
		case there && have == want:
		case there && was && have == before, !there && !was:
			unfinished = true
		default:
			foreign = append(foreign, name)
		}
	}
	slices.Sort(foreign)
	return unfinished, foreign, nil
}

// newest returns the newest version that releases/current is another name
// for: the one of the last publish, unless that was killed before.
func (h *head) newest(ctx context.Context, r Reader, channel string) (string, error) {
	c := h.Channels[channel]
	name := join(currentRoot, sumsName)
	want, changed := c.Pointers[name]
	sum, there, err := sumOf(ctx, r, name)
	if err != nil || !changed {
		return c.Version, err
	}
	have := hex.EncodeToString(sum[:])
	before, was := c.Before.Pointers[name]
	if there == was && have != want && (!there || have == before) {
		return c.Before.Version, nil
	}
	return c.Version, nil
}

// CompareVersions orders versions, MAJOR.MINOR.BUILD as three numbers; "" is the least.
func CompareVersions(a, b string) int {
	na, nb := versionNumbers(a), versionNumbers(b)
	for i := range na {
		if na[i] != nb[i] {
			if na[i] < nb[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

func versionNumbers(s string) [3]int {
	n := [3]int{-1, -1, -1}
	if s == "" {
		return n
	}
	for i, part := range strings.SplitN(s, ".", 3) {
		n[i], _ = strconv.Atoi(part) // versionForm holds
	}
	return n
}
