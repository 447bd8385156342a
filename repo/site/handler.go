package site

import (
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Immutable reports whether a name of the site keeps its bytes for ever, so
// that clients and caches need not ask again (docs/repo-layout.md, section 5).
func Immutable(name string) bool {
	parts := strings.Split(name, "/")
	switch parts[0] {
	case "apt":
		return len(parts) > 3 && parts[2] == "pool" || strings.Contains(name, "/by-hash/")
	case "yum":
		return len(parts) > 3 && parts[2] == "pkgs" || len(parts) > 5 && parts[3] == "r" && parts[4] != "current"
	case "releases":
		return len(parts) > 2 && parts[1] != "current" && !strings.HasPrefix(path.Base(name), "SHA256SUMS")
	}
	return false
}

// contentType is decided by name alone: the same on every machine.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".xml":
		return "text/xml; charset=utf-8"
	case ".asc":
		return "text/plain; charset=us-ascii"
	case ".pgp":
		return "application/pgp-keys"
	case ".deb":
		return "application/vnd.debian.binary-package"
	case ".rpm":
		return "application/x-rpm"
	case ".gz":
		return "application/gzip"
	case ".zip":
		return "application/zip"
	}
	switch base := path.Base(name); {
	case base == "InRelease", base == "Release", base == "Release.gpg", base == "mirrorlist", base == "SHA256SUMS", strings.HasPrefix(base, "RPM-GPG-KEY-"):
		return "text/plain; charset=utf-8"
	case name == "publish/head":
		return "application/json"
	}
	return "application/octet-stream"
}

// Handler serves the site in a directory, read-only, without listings, and
// without following links out of it. Close releases the directory.
type Handler struct {
	root *os.Root
}

// NewHandler opens the directory that is served.
func NewHandler(dir string) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Handler{root}, nil
}

// Close releases the directory.
func (h *Handler) Close() error { return h.root.Close() }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	if !fs.ValidPath(name) || name == lockName {
		http.NotFound(w, r)
		return
	}
	f, err := h.root.Open(filepath.FromSlash(name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType(name))
	header.Set("X-Content-Type-Options", "nosniff")
	// Dates have whole seconds: of two publishes within one, a client that
	// asks by date would be told that nothing changed. So only what never
	// changes has a date.
	modified := time.Time{}
	header.Set("Cache-Control", "no-cache")
	if Immutable(name) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		modified = info.ModTime()
	}
	http.ServeContent(w, r, "", modified, f)
}
