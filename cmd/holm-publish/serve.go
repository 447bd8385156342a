package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"holm.example/repo/site"
)

// Times of the server.
const (
	headerTimeout = 10 * time.Second
	stopTimeout   = 10 * time.Second
)

func newServeCommand(a *app) *cobra.Command {
	var folder, listen string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the site over HTTP",
		Long: `Serves the published site, read-only, with the content types and cache headers
that docs/repo-layout.md asks for, until it is interrupted. It is made for
rehearsals; a real site is static files behind any web server.`,
		Example: `  holm-publish serve
  holm-publish serve --site /srv/packages --listen 127.0.0.1:8080 --verbose`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd.Context(), folder, listen, verbose)
		},
	}
	cmd.Flags().StringVar(&folder, "site", "site", "folder of the published site")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8417", "address and port")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "print every request")
	return cmd
}

// serve answers until the context ends; requests at work may finish.
func (a *app) serve(ctx context.Context, folder, listen string, verbose bool) error {
	handler, err := site.NewHandler(folder)
	if err != nil {
		return withHint(fmt.Errorf("opening the site: %w", err), "holm-publish release makes one; --site names another folder")
	}
	defer handler.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return withHint(fmt.Errorf("listening: %w", err), "--listen names another address")
	}
	var served http.Handler = handler
	if verbose {
		served = a.logged(handler)
	}
	server := &http.Server{Handler: served, ReadHeaderTimeout: headerTimeout}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(ending)
	})
	a.ui.progress("serving %s at http://%s", folder, listener.Addr())
	err = server.Serve(listener)
	if !stop() && errors.Is(err, http.ErrServerClosed) {
		return <-stopped
	}
	return err
}

// logged prints one line a request.
func (a *app) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		a.ui.progress("%s %s %q %d %d", r.RemoteAddr, r.Method, r.URL.Path, recorder.status, recorder.sizeBytes)
	})
}

// A statusRecorder remembers what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status    int
	sizeBytes int64
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.sizeBytes += int64(n)
	return n, err
}
