package engine

import (
	"errors"

	"holm.example/engine/backup"
	"holm.example/engine/catalog"
	"holm.example/engine/restore"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// What a caller tells apart. Errors of deeper packages are wrapped by, or
// are, one of these.
var (
	// ErrWrongPassphrase: no key of the vault opens with that passphrase.
	ErrWrongPassphrase = seal.ErrPassphrase
	// ErrAlreadyRunning: another engine has the data directory open.
	ErrAlreadyRunning = errors.New("already running")
	// ErrNotJoined: the data directory belongs to no vault.
	ErrNotJoined = errors.New("this data directory belongs to no vault")
	// ErrJoined: the data directory belongs to a vault already.
	ErrJoined = errors.New("this data directory belongs to a vault already")
	// ErrUnreachable: the store of the vault cannot be used now.
	ErrUnreachable = storage.ErrUnreachable
	// ErrDenied: the store of the vault answers, but not to us.
	ErrDenied = storage.ErrDenied
	// ErrLocation: the text names no place for a vault.
	ErrLocation = storage.ErrLocation
	// ErrNoVault: there is no vault in that store.
	ErrNoVault = vault.ErrNoVault
	// ErrOtherVault: the vault there is not the one of the data directory.
	ErrOtherVault = vault.ErrOtherVault
	// ErrVaultExists: there is a vault in that store already.
	ErrVaultExists = vault.ErrVaultExists
	// ErrDamaged: an object is not what its device wrote; the text names it.
	ErrDamaged = vault.ErrDamaged
	// ErrRepairable: a damaged object, which its parity makes good.
	ErrRepairable = vault.ErrRepairable
	// ErrLost: the vault was set back, or lost a part that this device has
	// committed or folded. It must not go on; a new device can.
	ErrLost = catalog.ErrLost
	// ErrNewer: only a later version of holm understands this vault.
	ErrNewer = vault.ErrNewer
	// ErrNotCreateOnly: the store overwrites existing objects.
	ErrNotCreateOnly = storage.ErrNotCreateOnly
	// ErrNoSnapshot: nothing fits what was asked for.
	ErrNoSnapshot = errors.New("no such snapshot")
	// ErrNoneYet: there is no snapshot of which the latest could be meant.
	ErrNoneYet = errors.New("the vault holds no snapshot yet")
	// ErrAmbiguous: more than one snapshot fits.
	ErrAmbiguous = errors.New("more than one snapshot begins like that")
	// ErrNoPath: the snapshot has no such path.
	ErrNoPath = errors.New("not in the snapshot")
	// ErrRenamed: an entry was restored under another name.
	ErrRenamed = restore.ErrRenamed
	// ErrTarget: what is restored into is full or read-only.
	ErrTarget = restore.ErrTarget
	// ErrNoTarget: what is to be restored into is no directory, and none can be
	// made there.
	ErrNoTarget = errors.New("the target cannot be made")
	// ErrOwnPlace: a directory in the vault or in the data directory was named
	// for something else.
	ErrOwnPlace = errors.New("nothing else may be put there")
	// ErrChanged: a file changed each time it was read.
	ErrChanged = backup.ErrChanged
	// ErrNotEmpty: a new vault is to be made where other files are.
	ErrNotEmpty = errors.New("the directory holds other files")
	// ErrNoPassphrase: an empty passphrase protects nothing.
	ErrNoPassphrase = errors.New("empty passphrase")
	// ErrStopped: the run was asked to end; what was read until then is kept.
	ErrStopped = backup.ErrStopped
	// ErrNothing: none of the sources is there, or could be read at all. The
	// problems of the report say why.
	ErrNothing = errors.New("none of the sources is there and can be read")
	// ErrState: both copies of the state file are damaged.
	ErrState = errors.New("the state of this data directory is damaged")
)
