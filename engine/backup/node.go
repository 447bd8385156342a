package backup

import (
	"path/filepath"
	"slices"
	"strings"

	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// nodeOf is what the vault stores of an entry, without its content.
func nodeOf(e source.Entry) vault.Node {
	n := vault.Node{Meta: vault.Meta{
		Mode: e.Mode & source.ModeMask, UID: e.UID, GID: e.GID, ModTime: vault.Time(e.ModTime), WinAttrs: e.WinAttrs}}
	switch e.Kind {
	case source.File:
		n.Kind = vault.KindFile
		n.Meta.ChangeTime, n.Meta.FileID = vault.Time(e.ChangeTime), fileID(e)
	case source.Directory:
		n.Kind = vault.KindDirectory
		n.Meta.ChangeTime = vault.Time(e.ChangeTime)
	case source.Symlink:
		n.Kind, n.Target = vault.KindSymlink, e.Target
	case source.Special:
		n.Kind, n.Special = vault.KindSpecial, specialType(e.Special)
		if e.Special == source.CharDevice || e.Special == source.BlockDevice {
			n.Major, n.Minor = e.Major, e.Minor // elsewhere some systems have noise there
		}
	}
	return n
}

// fileID leaves the device out: its number changes when a disk is mounted
// anew.
func fileID(e source.Entry) uint64 {
	if e.ID.Inode == unsettled {
		return 0
	}
	return e.ID.Inode
}

func specialType(k source.SpecialKind) vault.SpecialType {
	switch k {
	case source.FIFO:
		return vault.FIFO
	case source.CharDevice:
		return vault.CharDevice
	case source.BlockDevice:
		return vault.BlockDevice
	}
	return vault.Socket
}

// unchanged reports whether a file needs no reading: same size, times, file
// id, mode, owner and Windows attributes as when it was read, and as then one
// name or several. Names of owners and extended attributes are not
// asked for: setting them sets the change time.
func unchanged(known *vault.Node, e source.Entry) bool {
	n := nodeOf(e)
	a, b := &known.Meta, &n.Meta
	return known.Kind == vault.KindFile && n.Kind == vault.KindFile && known.SizeBytes == uint64(e.Size) &&
		a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.ModTime == b.ModTime &&
		a.ChangeTime == b.ChangeTime && a.FileID == b.FileID && a.WinAttrs == b.WinAttrs &&
		hardLinked(e) == (a.LinkGroup != seal.ID{})
}

// sameNode reports whether two nodes without content are the same.
func sameNode(a, b *vault.Node) bool {
	return a.Kind == b.Kind && sameMeta(&a.Meta, &b.Meta) && a.Directory == b.Directory && a.Target == b.Target &&
		a.Special == b.Special && a.Major == b.Major && a.Minor == b.Minor
}

// sameContent reports whether two files have the same chunks.
func sameContent(a, b *vault.Node) bool {
	return a.SizeBytes == b.SizeBytes && a.Chunks.Level == b.Chunks.Level && slices.Equal(a.Chunks.IDs, b.Chunks.IDs)
}

// untouched reports whether a directory is as it was when it was put, its
// attributes included: they do not change without the change time.
func untouched(known, n *vault.Node) bool {
	a, b := &known.Meta, &n.Meta
	return known.Kind == vault.KindDirectory && n.Kind == vault.KindDirectory && a.ChangeTime == b.ChangeTime &&
		a.ChangeTime != (vault.Time{}) && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.ModTime == b.ModTime &&
		a.WinAttrs == b.WinAttrs
}

// sameDirectory is sameNode but for the change time, which alone is not worth
// an operation.
func sameDirectory(known, n *vault.Node) bool {
	other := *n
	other.Meta.ChangeTime = known.Meta.ChangeTime
	return sameNode(known, &other)
}

func sameMeta(a, b *vault.Meta) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.ModTime == b.ModTime &&
		a.ChangeTime == b.ChangeTime && a.FileID == b.FileID && a.WinAttrs == b.WinAttrs &&
		a.User == b.User && a.Group == b.Group && slices.Equal(a.Attributes, b.Attributes)
}

// BaseName is the name under which a source's one entry stands: the last name
// of its path, "root" for the top of a file system, the letter for a volume
// of Windows.
func BaseName(path string) string {
	volume := filepath.VolumeName(path)
	rest := strings.Trim(filepath.ToSlash(path[len(volume):]), "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		rest = rest[i+1:]
	}
	if rest != "" {
		return rest
	}
	if volume != "" && volume[0] != '\\' {
		return volume[:1]
	}
	return "root"
}
