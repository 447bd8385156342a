package site

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

// An HTTP is a site that is read over the network.
type HTTP struct {
	base   string
	client *http.Client
}

// OpenHTTP returns the site at a base URL, http or https. The error is
// ErrName for anything else.
func OpenHTTP(base string, client *http.Client) (*HTTP, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: %q is no base URL", ErrName, base)
	}
	return &HTTP{strings.TrimSuffix(base, "/"), client}, nil
}

// Open gets a file; the error is fs.ErrNotExist if the server says that
// there is none, and ErrUnreachable if it does not say. Who reads it bounds it.
func (h *HTTP) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	where := h.base + "/" + (&url.URL{Path: name}).EscapedPath()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	// Files such as Packages.gz are to come as they are stored.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusNotFound, http.StatusGone:
		resp.Body.Close()
		return nil, &fs.PathError{Op: "get", Path: where, Err: fs.ErrNotExist}
	}
	resp.Body.Close()
	return nil, fmt.Errorf("%w: %s answers %s", ErrUnreachable, where, resp.Status)
}
