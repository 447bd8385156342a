package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// fields are the names of the fields of a JSON object.
func fields(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
		names = append(names, fields(t.Field(i).Type)...)
	}
	return names
}

func TestPageOfTheCommandLineHasEveryVerbFlagAndField(t *testing.T) {
	data, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	flags := func(f *pflag.Flag) {
		if !strings.Contains(page, "`--"+f.Name) {
			t.Errorf("the page does not have the flag --%s", f.Name)
		}
	}
	root := newRoot(newApp())
	root.Flags().VisitAll(flags)
	root.PersistentFlags().VisitAll(flags)
	for _, cmd := range root.Commands() {
		if !strings.Contains(page, "| `"+cmd.Name()) {
			t.Errorf("the page does not have the verb %s", cmd.Name())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				flags(f)
			}
		})
	}
	_, json, ok := strings.Cut(page, "\n## JSON\n")
	if !ok {
		t.Fatal("the page has no section about JSON")
	}
	for _, object := range []any{entered{}, snapshotAnswer{}, entryAnswer{}, matchAnswer{}, changeAnswer{}, diffAnswer{}, progressAnswer{},
		wouldAnswer{}, problemAnswer{}, warningAnswer{}, backupAnswer{}, restoreAnswer{}, dryAnswer{}, checkAnswer{}, versionAnswer{}} {
		for _, name := range fields(reflect.TypeOf(object)) {
			if name != "type" && !strings.Contains(json, "`"+name+"`") {
				t.Errorf("the page does not have the field %s of %T", name, object)
			}
		}
	}
}

func TestEveryVerbIsInAGroup(t *testing.T) {
	for _, cmd := range newRoot(newApp()).Commands() {
		if !cmd.Hidden && cmd.GroupID == "" {
			t.Errorf("%s: help lists it among the others", cmd.Name())
		}
	}
}
