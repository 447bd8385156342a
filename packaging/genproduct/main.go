// Command genproduct writes internal/product/product.go for development
// builds, from packaging/release.yaml and the file VERSION. It runs by
// go generate, in the folder internal/product.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"holm.example/packaging"
)

func main() {
	if err := generate(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, "genproduct: error:", err)
		os.Exit(1)
	}
}

// generate writes the file of the module in root.
func generate(root string) error {
	cfg, err := packaging.ReadConfig(filepath.Join(root, "packaging", "release.yaml"))
	if err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return err
	}
	id, err := cfg.Development(string(version))
	if err != nil {
		return err
	}
	source, err := packaging.FormatProduct(cfg, id)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, filepath.FromSlash(cfg.Product)), source, 0o644)
}
