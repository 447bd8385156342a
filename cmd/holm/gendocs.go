//go:build gendocs

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"holm.example/internal/product"
)

// docVerbs is the verb that writes the documents which the packages carry.
func docVerbs(a *app) []*cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use:     "gendocs DIR",
		Short:   "write man pages and completions",
		Long:    "Write the man pages to DIR/man and the shell completions to DIR/completions.",
		Example: "  SOURCE_DATE_EPOCH=1700000000 go run -tags gendocs ./cmd/holm gendocs ./docs-out",
		Hidden:  true,
		Args:    arguments(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			when, err := docDate(date, a)
			if err != nil {
				return err
			}
			if err := writeManPages(newRoot(newApp()), filepath.Join(args[0], "man"), when); err != nil {
				return err
			}
			return writeCompletions(newRoot(newApp()), filepath.Join(args[0], "completions"))
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "`date` of the pages, YYYY-MM-DD (default from SOURCE_DATE_EPOCH, else today)")
	return []*cobra.Command{cmd}
}

// docDate is the date that the pages carry, in UTC.
func docDate(flag string, a *app) (time.Time, error) {
	if flag != "" {
		when, err := time.Parse(time.DateOnly, flag)
		if err != nil {
			return time.Time{}, &usageError{"--date is no date: " + flag, "write it like 2026-11-23"}
		}
		return when, nil
	}
	if epoch := a.env("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return time.Time{}, &usageError{"SOURCE_DATE_EPOCH is no number: " + epoch, "it counts seconds since 1970"}
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	return a.now().UTC(), nil
}

// writeManPages writes one page a verb.
func writeManPages(root *cobra.Command, dir string, when time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root.Long = rootIntro // the rest of it are sections of the page
	for _, cmd := range append(root.Commands(), root) {
		if !cmd.IsAvailableCommand() && cmd != root {
			continue
		}
		page, err := manPage(cmd, when)
		if err != nil {
			return fmt.Errorf("writing the page of %s: %w", cmd.CommandPath(), err)
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manPage is cobra's page with the values of flags written as man pages write
// them, and for the program itself the sections that a person looks for.
func manPage(cmd *cobra.Command, when time.Time) ([]byte, error) {
	header := &doc.GenManHeader{Section: "1", Date: &when, Source: product.Title, Manual: product.Title + " manual"}
	var page bytes.Buffer
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return nil, err
	}
	text := page.String()
	// GenMan has given the command its help flag by now.
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { text = flagAsInManPages(text, f) })
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { text = flagAsInManPages(text, f) })
	// cobra puts flag and meaning into one paragraph with a tab in between.
	text = regexp.MustCompile(`(\.SH .*\n|)(?:\.PP\n|)(\\fB-.*)\n\t`).ReplaceAllString(text, "$1.TP\n$2\n")
	if !cmd.HasParent() {
		text = strings.Replace(text, ".SH SEE ALSO", section("ENVIRONMENT", environment())+section("EXIT STATUS", exitCodes())+".SH SEE ALSO", 1)
	}
	return []byte(text), nil
}

// flagAsInManPages writes --name=VALUE where cobra has the default in Go's
// notation, and nothing behind a switch.
func flagAsInManPages(page string, f *pflag.Flag) string {
	value, _ := pflag.UnquoteUsage(f)
	if value != "" {
		value = `=\fI` + value + `\fP`
	}
	name := regexp.QuoteMeta(`\fB--` + f.Name + `\fP`)
	line := regexp.MustCompile(name + `(=|\[=).*`)
	return line.ReplaceAllLiteralString(page, `\fB--`+f.Name+`\fP`+value)
}

// section is a section of a man page with a list of words and their meaning.
func section(title string, rows []meaning) string {
	var b strings.Builder
	b.WriteString(".SH " + title + "\n")
	for _, m := range rows {
		b.WriteString(".TP\n\\fB" + m.word + "\\fP\n" + m.text + "\n")
	}
	return b.String()
}

// writeCompletions writes one file a shell, named as the shell finds it.
func writeCompletions(root *cobra.Command, dir string) error {
	name := root.Name()
	for path, write := range map[string]func(string) error{
		filepath.Join("bash", name):         func(f string) error { return root.GenBashCompletionFileV2(f, true) },
		filepath.Join("zsh", "_"+name):      root.GenZshCompletionFile,
		filepath.Join("fish", name+".fish"): func(f string) error { return root.GenFishCompletionFile(f, true) },
	} {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := write(file); err != nil {
			return fmt.Errorf("writing %s: %w", strings.TrimPrefix(file, dir), err)
		}
	}
	return nil
}
