package packaging_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"holm.example/internal/product"
	"holm.example/packaging"
)

func ourConfig(t testing.TB) (*packaging.Config, string) {
	t.Helper()
	data, err := os.ReadFile("release.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := packaging.ParseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, string(data)
}

func TestTheCommittedProductIsThatOfReleaseYAML(t *testing.T) {
	cfg, _ := ourConfig(t)
	version, err := os.ReadFile("../VERSION")
	if err != nil {
		t.Fatal(err)
	}
	id, err := cfg.Development(string(version))
	if err != nil {
		t.Fatal(err)
	}
	want, err := packaging.FormatProduct(cfg, id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(cfg.Product)))
	if err != nil || string(got) != string(want) {
		t.Errorf("%s is out of date: run go generate ./internal/product (%v)", cfg.Product, err)
	}
}

func TestAReleasesProductNamesEveryKey(t *testing.T) {
	cfg, _ := ourConfig(t)
	key := product.Key{Role: "archive", Channel: "stable", Number: 1, Fingerprint: strings.Repeat("AB", 20)}
	got, err := packaging.FormatProduct(cfg, packaging.Identity{Version: "1.2.3", Commit: `quote " and \`, URL: "https://x.example", Keys: []product.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`= "1.2.3"`, `"quote \" and \\"`, `{Role: "archive", Channel: "stable", Number: 1, Fingerprint: "` + key.Fingerprint + `"}`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestBadDescriptionsAreRefusedWithTheirLine(t *testing.T) {
	_, good := ourConfig(t)
	for name, c := range map[string]struct{ old, with, says string }{
		"an unknown word":         {"vendor: ", "vendour: ", "line 8"},
		"another format":          {"format: 1", "format: 2", "format 2"},
		"an unknown target":       {"linux/386", "linux/mips", "line 35"},
		"a target twice":          {"linux/386", "linux/amd64", "twice"},
		"a name with a slash":     {"name: holm #", "name: ho/lm #", "name"},
		"a name with capitals":    {"name: holm #", "name: Holm #", "name"},
		"no vendor":               {"vendor: The holm authors", "vendor:", "vendor"},
		"a URL with a slash":      {"https://packages.holm.example", "https://packages.holm.example/", "url"},
		"a URL with a variable":   {"https://packages.holm.example", "https://packages.holm.example/$arch", "url"},
		"a URL that is a file":    {"https://packages.holm.example", "file:///srv", "url"},
		"a path that escapes":     {"news: NEWS.md", "news: ../NEWS.md", "news"},
		"an absolute path":        {"news: NEWS.md", "news: /NEWS.md", "news"},
		"a package outside":       {"package: ./cmd/holm\nproduct", "package: ../cmd/holm\nproduct", "programs.package"},
		"a flag for a package":    {"package: ./cmd/holm\nproduct", "package: -exec\nproduct", "programs.package"},
		"no address":              {"keys@holm.example", "nobody", "key_email"},
		"two documents":           {"keyring:", "---\nkeyring:", ""},
		"no programs":             {"programs:\n  - name: holm\n    package: ./cmd/holm", "programs: []", "programs"},
		"a keyring without name":  {"name: holm-archive-keyring", "name:", "keyring.name"},
		"a description that ends": {good[len(good)/2:], "", ""},
		"nothing":                 {good, "", ""},
	} {
		bad := strings.Replace(good, c.old, c.with, 1)
		if bad == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, err := packaging.ParseConfig([]byte(bad))
		if !errors.Is(err, packaging.ErrConfig) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrConfig that says %q", name, err, c.says)
		}
	}
	if _, err := packaging.ParseConfig([]byte(good + strings.Repeat("#", packaging.MaxConfigSize))); !errors.Is(err, packaging.ErrConfig) {
		t.Errorf("too long: %v", err)
	}
}

func TestTargetsAreAllOrHostOrAList(t *testing.T) {
	cfg, _ := ourConfig(t)
	all, err := cfg.ParseTargets("all")
	if err != nil || !slices.Equal(all, cfg.Targets) || len(all) != 9 {
		t.Errorf("all: %v %v", all, err)
	}
	two, err := cfg.ParseTargets("linux/arm,windows/386,linux/arm")
	if err != nil || !slices.Equal(two, []packaging.Target{{OS: "linux", Arch: "arm"}, {OS: "windows", Arch: "386"}}) {
		t.Errorf("a list: %v %v", two, err)
	}
	for _, bad := range []string{"", "linux", "plan9/amd64", "linux/amd64,", "ALL"} {
		if _, err := cfg.ParseTargets(bad); !errors.Is(err, packaging.ErrTarget) {
			t.Errorf("%q: %v, want ErrTarget", bad, err)
		}
	}
}

func TestTheBaseURLOfARehearsalReplacesOurs(t *testing.T) {
	cfg, _ := ourConfig(t)
	if err := cfg.SetURL("http://127.0.0.1:8417/"); err != nil || cfg.URL != "http://127.0.0.1:8417" {
		t.Errorf("%q %v", cfg.URL, err)
	}
	for _, bad := range []string{"", "127.0.0.1:8417", "ftp://x.example", "https://user@x.example", "https://x.example/?a=b", "https://x.example/a b"} {
		if err := cfg.SetURL(bad); !errors.Is(err, packaging.ErrConfig) {
			t.Errorf("%q: %v, want ErrConfig", bad, err)
		}
	}
}

// The repository entries never change after release 1.0: here they stand as
// the layout of the site shows them.
func TestRepositoryEntriesAreThoseOfTheLayout(t *testing.T) {
	cfg, _ := ourConfig(t)
	layout, err := os.ReadFile("../docs/repo-layout.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.ReplaceAll(string(layout), "<URL>", cfg.URL)
	apt, err1 := cfg.AptEntry()
	yum, err2 := cfg.YumEntry()
	zypp, err3 := cfg.ZyppEntry()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for name, entry := range map[string][]byte{"apt": apt, "yum": yum} {
		if !strings.Contains(shown, "\n```\n"+string(entry)+"```\n") {
			t.Errorf("docs/repo-layout.md does not show the entry for %s:\n%s", name, entry)
		}
	}
	want := strings.Replace(string(yum), "mirrorlist="+cfg.URL+"/yum/stable/$basearch/mirrorlist",
		"baseurl="+cfg.URL+"/yum/stable/$basearch/r/current/\nautorefresh=1", 1)
	if string(zypp) != want {
		t.Errorf("the entry for zypper is\n%s\nwant\n%s", zypp, want)
	}
	for _, entry := range [][]byte{yum, zypp} {
		if strings.Contains(string(entry), "pkg_gpgcheck") || strings.Count(string(entry), "[") != 1 {
			t.Errorf("not one section, or pkg_gpgcheck:\n%s", entry)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	_, good := ourConfig(f)
	f.Add(good)
	f.Add("format: 1\nname: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := packaging.ParseConfig([]byte(text))
		if err != nil {
			return
		}
		again, err := packaging.ParseConfig([]byte(text))
		if err != nil || !reflect.DeepEqual(cfg, again) {
			t.Fatalf("read twice, differently: %v", err)
		}
		if _, err := packaging.FormatProduct(cfg, packaging.Identity{Version: "1.2.3"}); err != nil {
			t.Fatalf("accepted, but no Go source: %v", err)
		}
	})
}
