package main

import (
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// An app is what all verbs share: the globals of the command line, the ways
// in and out, and the clock.
type app struct {
	overlay int // of engine.OpenOptions; no flag sets it
	ui      *ui
	env     func(string) string
	now     func() time.Time
	args    []string // of the command line

	dataDirFlag string
	vaultFlag   string
	storeFlags  storeFlags
}

func newApp() *app {
	return &app{ui: newUI(os.Stdin, os.Stdout, os.Stderr), env: os.Getenv, now: time.Now, args: os.Args[1:]}
}

// The groups of the verbs in the help text.
const (
	groupBackup = "backup"
	groupVault  = "vault"
	groupOther  = "other"
)

const rootIntro = `holm backs up files into a vault: a directory, a bucket of an S3 service or a
directory of an SFTP server, in which everything is encrypted before it
arrives, equal content is stored once, and any number of devices can back up
at the same time. Whoever keeps the vault can neither read what is in it nor
change it without being noticed.

Start with "holm init VAULT" and "holm backup PATH". The passphrase that init
asks for is needed again only on another device ("holm join VAULT") or when
this one is lost: keep it safe, there is no other way in.

A VAULT is written in one of these ways:
  /mnt/disk/vault                          a directory
  sftp://user@host/path                    over SFTP, by your own ssh
  sftp:user@host:path                      the same, from the home directory
  s3://bucket/prefix                       Amazon S3
  s3:https://host:port/bucket/prefix       another S3 service

Answers go to standard output, everything else to standard error. With --json
every answer is one JSON object a line.`

// A meaning explains a word of the command line, an environment variable or
// an exit code, in the help text and in the man page alike.
type meaning struct{ word, text string }

func environment() []meaning {
	return []meaning{
		{"HOLM_VAULT", "the vault, if --vault is not given"},
		{"HOLM_DATA_DIR", "the data directory, if --data-dir is not given"},
		{"HOLM_PASSPHRASE_FILE", "the passphrase file, if --passphrase-file is not given"},
		{"HOLM_SSH", "the command in place of ssh, if --ssh is not given"},
		{"HOLM_S3_CREDENTIALS", "the file of S3 keys, if --s3-credentials is not given"},
		{"AWS_ACCESS_KEY_ID", "the name of the key of S3"},
		{"AWS_SECRET_ACCESS_KEY", "the key of S3"},
	}
}

func exitCodes() []meaning {
	return []meaning{
		{"0", "done"},
		{"1", "failed"},
		{"2", "wrong usage"},
		{"3", "done, but not everything: a source unreadable, a name changed"},
		{"4", "verification failed: something is damaged or forged"},
		{"5", "already running"},
		{"6", "the vault cannot be reached"},
		{"7", "wrong passphrase or key"},
		{"8", "refused: a package manager owns this installation"},
	}
}

// rootLong is the help text of the program as a terminal shows it.
func rootLong() string {
	var b strings.Builder
	b.WriteString(rootIntro + "\n")
	for _, part := range []struct {
		title string
		rows  []meaning
	}{{"Environment", environment()}, {"Exit codes", exitCodes()}} {
		b.WriteString("\n" + part.title + ":\n")
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, m := range part.rows {
			w.Write([]byte("  " + m.word + "\t" + m.text + "\n"))
		}
		w.Flush()
	}
	return strings.TrimRight(b.String(), "\n")
}

const rootExample = `  holm init /mnt/disk/vault
  holm backup ~/Documents ~/Pictures
  holm snapshots
  holm find --all 'letter*'
  holm restore --path ~/Documents/letter.odt --to /tmp/found
  holm check --read-data`

// newRoot builds the command line.
func newRoot(a *app) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:           "holm",
		Short:         "encrypted backup of many devices into one vault",
		Long:          rootLong(),
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noVerb,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.ui.quiet && a.ui.verbose {
				return usage(cmd, "--quiet and --verbose contradict each other")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return a.version()
			}
			return cmd.Help()
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		DisableAutoGenTag: true, // the pages carry no date but the release's
	}
	root.SetOut(a.ui.out)
	root.SetErr(a.ui.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, flagText(err))
	})
	root.Flags().BoolVar(&version, "version", false, "print version, commit and keys, and exit")
	globals := root.PersistentFlags()
	globals.StringVar(&a.dataDirFlag, "data-dir", "", "`directory` of this device's state and catalog (default "+defaultDataDirText+")")
	globals.StringVar(&a.vaultFlag, "vault", "", "`place` of the vault, if it is not where it was")
	a.storeFlags.register(globals)
	globals.BoolVar(&a.ui.json, "json", false, "answer with one JSON object a line")
	globals.BoolVarP(&a.ui.quiet, "quiet", "q", false, "print answers that were asked for and errors, nothing else")
	globals.BoolVarP(&a.ui.verbose, "verbose", "v", false, "say more about what is done")
	root.MarkPersistentFlagDirname("data-dir")
	root.MarkPersistentFlagDirname("vault")

	root.AddGroup(
		&cobra.Group{ID: groupBackup, Title: "Back up and restore:"},
		&cobra.Group{ID: groupVault, Title: "The vault:"},
		&cobra.Group{ID: groupOther, Title: "Other:"})
	root.SetHelpCommandGroupID(groupOther)
	root.SetHelpCommand(newHelp(root))
	root.AddCommand(
		newBackup(a), newSnapshots(a), newLs(a), newFind(a), newDiff(a), newRestore(a),
		newInit(a), newJoin(a), newCheck(a),
		newVersion(a), newCompletion(a))
	root.AddCommand(docVerbs(a)...)
	return root
}

// noVerb is what is wrong with the arguments when none of them is a verb.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := usage(cmd, "unknown verb "+quoteName(args[0]))
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		e.hint = `did you mean "holm ` + strings.Join(near, `" or "holm `) + `"?`
	}
	return e
}

// newHelp is cobra's help verb with an example and errors like everyone's.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB]",
		Short:   "explain a verb",
		Long:    "Explain a verb, or list the verbs.",
		Example: "  holm help backup",
		GroupID: groupOther,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return noVerb(root, rest)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var verbs []string
			if len(args) == 0 {
				for _, c := range root.Commands() {
					if c.IsAvailableCommand() {
						verbs = append(verbs, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return verbs, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
