package engine

import (
	"io/fs"
	"time"

	"holm.example/engine/restore"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Options are what Init and Join need.
type Options struct {
	// DataDir is the data directory to make; it must not belong to a vault.
	DataDir string
	// Vault is where the vault is: a storage.Location.
	Vault string
	// Store says how its store is used.
	Store storage.OpenOptions
	// Passphrase opens the vault; it is not kept.
	Passphrase []byte
	// DeviceName is what people call this device; it is stored sealed.
	DeviceName string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Derivation are the costs of the passphrase (Init only); the zero value
	// means seal.DefaultDerivation.
	Derivation seal.Derivation
	// Chunker are the chunk sizes of the vault (Init only); the zero value
	// means vault.DefaultChunker.
	Chunker vault.ChunkSizes
	// Parity says whether the objects of the vault get a parity tail, from
	// which small damage can be repaired (Init only); nil means yes, unless
	// the store is redundant itself.
	Parity *bool
}

// Info says what a data directory belongs to.
type Info struct {
	Vault      string // where the vault is
	VaultID    string // 64 hexadecimal digits
	DeviceID   string // 32 hexadecimal digits
	DeviceName string
	DataDir    string
	Parity     bool // the objects of the vault have parity tails
}

// OpenOptions are what Open needs.
type OpenOptions struct {
	DataDir string
	// Vault, if not empty, is where the vault is now, a storage.Location; it
	// is remembered.
	Vault string
	// Store says how its store is used.
	Store storage.OpenOptions
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Note tells the person a thing worth a line, such as a catalog that is
	// rebuilt; nil means nobody listens.
	Note func(format string, args ...any)
	// OverlayBytes is how much of changes the catalog gathers before it writes
	// them into a sorted table; 0 means what suits it.
	OverlayBytes int
}

// Progress is how far a run is. Totals are 0 while they are not known.
type Progress struct {
	Path       string // what is being worked on
	Files      int64  // seen, or written back; packs that were checked
	Bytes      int64  // of what is behind us: of sources, of files written back, or of packs read
	ReadBytes  int64  // read from sources, or sealed bytes from the vault
	TotalFiles int64
	TotalBytes int64
	About      bool // the totals are an estimate
	Problems   int64
}

// Problem is something that a run could not do; the rest was done.
type Problem struct {
	Path string // raw bytes; of a source, of the target, or an object name
	Err  error
}

// BackupOptions say what to back up.
type BackupOptions struct {
	// Paths are the sources, absolute or relative to the working directory.
	Paths []string
	// Label is stored with the snapshot.
	Label string
	// Stop, once closed, ends the backup soon, also before it reads anything:
	// what was read until then is committed, and the error is ErrStopped. It
	// may be nil.
	Stop <-chan struct{}
	// Skipped is told what no backup can have, sockets for example, and why;
	// it may be nil.
	Skipped func(path, why string)
	// Problem is told each problem at once, from one goroutine; a run that must
	// begin again tells them again. It may be nil.
	Problem func(Problem)
	// Progress is called now and then, from one goroutine; it may be nil.
	Progress func(Progress)
}

// BackupReport is what a backup did.
type BackupReport struct {
	// Snapshot is the id of the new snapshot; empty if there is none, because
	// the scan was not complete.
	Snapshot    string
	Files       int64 // seen
	Directories int64
	Others      int64 // symlinks and special files
	Changed     int64 // entries that were new or changed
	New         int64 // of those, the new
	Unchanged   int64 // entries that were as they are in the vault
	Unreadable  int64 // sources and entries that could not be read, and keep the state they had
	Skipped     int64 // entries that no backup can have
	Deleted     int64 // entries that were gone
	Bytes       int64 // size of all files seen
	ReadBytes   int64 // read from sources
	NewBytes    int64 // of chunks that the vault did not have
	StoredBytes int64 // of the packs and segments that were written
	Segments    int64
	Started     time.Time
	Finished    time.Time
	// ProblemCount is how many sources, or entries of them, could not be read
	// whole; the first 1,000 are in Problems.
	ProblemCount int64
	Problems     []Problem
}

// Snapshot is a named point in time of one device.
type Snapshot struct {
	ID         string // 32 hexadecimal digits; a unique prefix names it too
	Time       time.Time
	DeviceID   string
	DeviceName string
	Label      string
	Paths      []string // of its sources
	// Incomplete says why the snapshot is not all that was backed up: a part of
	// the journal before it cannot be read. Empty: it is complete.
	Incomplete string
}

// ListOptions say what to list.
type ListOptions struct {
	// At is "latest", a snapshot id or its unique prefix, or a time: the
	// newest snapshot not after it (RFC 3339, or 2006-01-02[ 15:04[:05]] in
	// local time). Empty means latest.
	At string
	// Path is a path as it was at the source, or one that begins with the
	// base name of a source. Empty means the sources.
	Path string
	// Recursive lists everything below.
	Recursive bool
}

// Entry is a file, directory, symlink or special file in a snapshot.
type Entry struct {
	Path      string // as it was at the source, with slashes; raw bytes
	Mode      fs.FileMode
	SizeBytes int64
	ModTime   time.Time
	UID, GID  uint32
	Target    string // of a symlink
}

// RestoreOptions say what to restore, and where.
type RestoreOptions struct {
	// At is as in ListOptions.
	At string
	// Paths are as ListOptions.Path; empty means everything.
	Paths []string
	// To is the directory to restore into; it is made if it is missing. Each
	// source or path is restored as To/<its base name>.
	To string
	// Overwrite restores into directories that are there, and replaces files
	// and links that are in the way, each in one step when the new one is
	// complete. Without it nothing that exists is touched: what would collide
	// gets a suffix.
	Overwrite bool
	// NumericIDs restores owner and group by number, although the names that
	// were stored may have other numbers here.
	NumericIDs bool
	// Count counts first what there is to do, so that Progress has totals.
	Count bool
	// Problem is told each problem at once, never two at a time. It may be nil.
	Problem func(Problem)
	// Progress is called now and then, from one goroutine; it may be nil.
	Progress func(Progress)
}

// RestoreReport is what a restore did.
type RestoreReport struct {
	Snapshot    Snapshot
	Files       int64
	Directories int64
	Others      int64
	Bytes       int64 // written
	ReadBytes   int64 // sealed bytes read from packs
	Renamed     int64 // entries that got another name; they are problems too
	// NotOwned are entries without the owner or group that they had, which
	// takes rights that this process has not: no problems.
	NotOwned int64
	// Complete says that everything was tried: an error is about damage.
	Complete bool
	Started  time.Time
	Finished time.Time
	// ProblemCount is how many entries could not be written as they were, or
	// got another name (the error is ErrRenamed); the first 1,000 are in
	// Problems.
	ProblemCount int64
	Problems     []Problem
}

// RestoreAction is what a restore would do with an entry.
type RestoreAction = restore.Action

// The actions of a restore.
const (
	RestoreCreate  = restore.Create
	RestoreReplace = restore.Replace
	RestoreEnter   = restore.Enter
	RestoreRename  = restore.Rename
)

// RestoreStep is what a restore would do with one entry.
type RestoreStep struct {
	Entry  // with the path where it is to go
	Action RestoreAction
	At     string // where it would go: another path than that of Entry for RestoreRename
}

// CheckOptions say how deep to check.
type CheckOptions struct {
	// ReadData reads every pack and verifies every seal.
	ReadData bool
	// Deep inflates everything as well and verifies every chunk id.
	Deep bool
	// Repair puts back the copies of vault.json and of the wrapped keys before
	// anything is checked, reads every pack, and stores again what is in no
	// whole one.
	Repair bool
	// Progress is called now and then, never by two goroutines at once; it may
	// be nil.
	Progress func(Progress)
	// Repairing is Progress while the sources are read again.
	Repairing func(Progress)
}

// CheckReport is what a check found.
type CheckReport struct {
	Devices   int64
	Segments  int64
	Snapshots int64
	Packs     int64
	Chunks    int64
	Entries   int64
	ReadBytes int64
	DeadPacks int64 // packs that no segment names: space, not damage
	// SingleKeys are wrapped keys without a second copy, as earlier versions
	// made them; Repair makes it.
	SingleKeys int64
	Started    time.Time
	Finished   time.Time
	// Problems are what is damaged, each naming the object; ErrRepairable is
	// part of the error if parity makes it good. Repairable is how many these
	// are: nothing of them is lost.
	Problems   []Problem
	Repairable int64
	// LostFiles are the files whose content is lost with what is damaged, each
	// state of one once, at most 1,000 of DamagedFiles.
	LostFiles []Problem
	// Warnings are damaged packs with which nothing is lost, and, if there are
	// problems, sources that could not be read for repair.
	Warnings []Problem
	// Repaired are what was damaged and is whole again, each naming the object.
	Repaired []error

	RepairedChunks int64 // that were in no whole pack, and are now
	LackingChunks  int64 // that are in no whole pack
	DamagedFiles   int64
	Unread         []Problem // sources that could not be read for repair
}
