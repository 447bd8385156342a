package main

import (
	"context"
	"errors"
	"syscall"

	"holm.example/engine"
)

// with opens the engine of the data directory for the time of one verb.
func (a *app) with(ctx context.Context, do func(*engine.Engine) error) (err error) {
	dataDir, err := a.dataDir()
	if err != nil {
		return err
	}
	vault, err := a.vault()
	if err != nil {
		return err
	}
	e, err := engine.Open(ctx, engine.OpenOptions{DataDir: dataDir, Vault: vault, Now: a.now, Note: a.ui.warn, Store: a.store(), OverlayBytes: a.overlay})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	info := e.Info()
	a.ui.detail("data directory %s", quoteName(dataDir))
	a.ui.detail("vault %s in %s", info.VaultID, quoteName(info.Vault))
	a.ui.detail("this is device %s (%s)", info.DeviceID, quoteName(info.DeviceName))
	return do(e)
}

// problem tells a problem of a run.
func (a *app) problem(p engine.Problem) { a.ui.problem(p.Path, p.Err) }

// partly turns problems that were told into the exit code for work that is
// done except for them.
func partly(problems int64) error {
	if problems > 0 {
		return errPartly
	}
	return nil
}

// absolutePaths makes paths of the command line absolute by way of one of the
// functions absolute and snapshotPath.
func absolutePaths(args []string, absolute func(string) (string, error)) ([]string, error) {
	paths := make([]string, len(args))
	for i, arg := range args {
		abs, err := absolute(arg)
		if err != nil {
			return nil, err
		}
		paths[i] = abs
	}
	return paths, nil
}

// occasions are the errors of the engine that have an exit code or a next
// step of their own; the first that fits counts.
func occasions() []occasion {
	return []occasion{
		{engine.ErrWrongPassphrase, exitPassphrase, `the passphrase is the one that was given at "holm init"`},
		{engine.ErrOtherVault, exitPassphrase, "--vault or HOLM_VAULT names another vault than --data-dir or HOLM_DATA_DIR belongs to; each vault needs a data directory of its own"},
		{engine.ErrAlreadyRunning, exitRunning, "wait until it has ended; each --data-dir runs one at a time"},
		{engine.ErrNotJoined, exitFailed, `"holm init VAULT" makes a vault, "holm join VAULT" joins one; or name the right --data-dir`},
		{engine.ErrJoined, exitFailed, "another --data-dir can belong to another vault"},
		{engine.ErrVaultExists, exitFailed, `"holm join VAULT" makes this device one of that vault`},
		{engine.ErrNewer, exitFailed, "install the newest holm on this device"},
		{engine.ErrDenied, exitUnreachable, `for SFTP, "ssh HOST" must work without a question; for S3, see --s3-credentials and AWS_ACCESS_KEY_ID`},
		{engine.ErrLost, exitDamaged, `if there is a newer copy of the vault, put it back; else "holm join VAULT --data-dir NEW" makes a new device that goes on`},
		{engine.ErrDamaged, exitDamaged, `keep the vault as it is; "holm check --read-data" names everything that is damaged`},
		{engine.ErrLocation, exitUsage, `"holm --help" shows how the place of a vault is written`},
		{engine.ErrNoVault, exitUnreachable, "is the disk mounted, the server up? --vault says where the vault is now"},
		{engine.ErrUnreachable, exitUnreachable, "is the disk mounted, the server up? --vault says where the vault is now"},
		{engine.ErrNotCreateOnly, exitFailed, "put the vault on a file system with hard links, or one that can refuse to replace a file; a service must honour If-None-Match"},
		{engine.ErrNoSnapshot, exitFailed, `"holm snapshots" lists them`},
		{engine.ErrNoneYet, exitFailed, `"holm backup PATH" makes one`},
		{engine.ErrAmbiguous, exitFailed, "give more digits of the id"},
		{engine.ErrNoPath, exitFailed, `"holm ls" lists what is there`},
		{engine.ErrOwnPlace, exitUsage, "choose directories that lie beside each other; a restore goes outside of the vault and of the data directory"},
		{engine.ErrNothing, exitFailed, "are the paths right, their disks mounted, and may this user read them?"},
		{syscall.ENOSPC, exitFailed, "make room on that disk; the same command goes on from there"},
		{engine.ErrNoTarget, exitFailed, "let it be written to, or name another --to"},
		{engine.ErrState, exitFailed, `"holm join VAULT --data-dir NEW" joins the vault again with the passphrase`},
	}
}

// An occasion is what an error means for the person.
type occasion struct {
	err  error
	code int
	hint string
}

// showProgress shows the progress of the engine. one and many are what its
// files are called.
func (a *app) showProgress(verb, doing, one, many string) func(engine.Progress) {
	return func(p engine.Progress) {
		a.ui.progress(progress{verb: verb, doing: doing, one: one, many: many, path: p.Path,
			files: p.Files, totalFiles: p.TotalFiles, bytes: p.Bytes, totalBytes: p.TotalBytes, read: p.ReadBytes,
			about: p.About, problems: p.Problems})
	}
}
