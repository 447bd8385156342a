package packaging_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"holm.example/packaging"
)

func TestOurProgramsAreTheSameFromTwoFolders(t *testing.T) {
	if os.Getenv("HOLM_SOAK") == "" {
		t.Skip("HOLM_SOAK=1 builds every target twice, each time without a cache")
	}
	var releases []*packaging.Release
	for _, place := range []string{"here", "in another place"} {
		dir := t.TempDir()
		source := filepath.Join(dir, place)
		gitIn(t, ".", "clone", "-q", "..", source)
		t.Setenv("GOCACHE", filepath.Join(dir, "cache"))
		cfg, err := packaging.ReadConfig(filepath.Join(source, "packaging", "release.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		src, err := packaging.ReadSource(context.Background(), source, packaging.SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, all := toyKeys(t)
		r, err := packaging.Build(context.Background(), packaging.BuildOptions{
			Config: cfg, Source: src, Keys: all, Targets: cfg.Targets, Dist: filepath.Join(dir, "dist"), Progress: t.Logf,
		})
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, r)
	}
	for i, f := range releases[0].Files {
		if other := releases[1].Files[i]; other != f {
			t.Errorf("%+v differs from %+v", other, f)
		}
	}
}
