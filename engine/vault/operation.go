package vault

import (
	"fmt"

	"holm.example/engine/seal"
)

// Operation is one of the types below. A segment is a list of them.
type Operation interface {
	// opType is the number of the type and the level that introduced it.
	opType() (number, level uint64)
	encode(*encoder)
}

// Level is the highest level of operations that this version folds.
const Level = 1

// EntryName says where an entry of a tree stands.
type EntryName struct {
	Parent seal.ID // a directory or source
	Name   string  // raw bytes
}

// Chunks is a file's content: chunk ids, or at a level above 0 the ids of
// list chunks.
type Chunks struct {
	Level int
	IDs   []seal.Hash
}

// EntryKind is what an entry is.
type EntryKind byte

// The kinds of entries.
const (
	KindFile      EntryKind = 1
	KindDirectory EntryKind = 2
	KindSymlink   EntryKind = 3
	KindSpecial   EntryKind = 4
)

// SpecialType is what a special file is.
type SpecialType byte

// The types of special files.
const (
	FIFO        SpecialType = 1
	CharDevice  SpecialType = 2
	BlockDevice SpecialType = 3
	Socket      SpecialType = 4
)

// Attribute is an extended attribute.
type Attribute struct{ Name, Value string }

// Meta is what is known of an entry beside its content.
type Meta struct {
	Mode       uint32 // POSIX, lower 12 bits
	UID, GID   uint32
	User       string
	Group      string
	ModTime    Time
	ChangeTime Time
	FileID     uint64
	WinAttrs   uint32
	Attributes []Attribute
	LinkGroup  seal.ID // zero: none
}

// Node is an entry without its place.
type Node struct {
	Meta      Meta
	Kind      EntryKind
	SizeBytes uint64  // of a file
	Chunks    Chunks  // of a file
	Directory seal.ID // of a directory
	Target    string  // of a symlink
	Special   SpecialType
	Major     uint32
	Minor     uint32
}

// ChunkInfo is a chunk as a pack's list has it.
type ChunkInfo struct {
	ID        seal.Hash
	SizeBytes uint32
}

// The operations; docs/vault-format.md, section 8.
type (
	// Source declares a source: its id is a virtual directory.
	Source struct {
		ID     seal.ID
		Path   string
		System string
	}
	// PackAdd names a pack of this transaction.
	PackAdd struct {
		Random    seal.ID
		Epoch     uint32
		SizeBytes uint64
		Frames    []uint32 // sealed lengths
		Chunks    []ChunkInfo
	}
	// Put sets an entry.
	Put struct {
		EntryName
		Node
	}
	// Part keeps a range of an unfinished file.
	Part struct {
		EntryName
		OffsetBytes uint64
		SizeBytes   uint64
		Chunks      Chunks
	}
	// MoveDir moves a directory with all that is in it.
	MoveDir struct {
		Directory seal.ID
		To        EntryName
	}
	// Delete removes an entry.
	Delete struct {
		EntryName
		Reason DeleteReason
	}
	// Mark names this point of the journal.
	Mark struct {
		ID      seal.ID
		Time    Time
		Label   string
		Sources []seal.ID
	}
	// Policy sets what the owner of a history wants kept.
	Policy struct{ Settings []Attribute }
	// Hold keeps a mark from being forgotten.
	Hold struct {
		Device, Mark seal.ID
		Held         bool
	}
	// Forget forgets marks.
	Forget struct {
		Device seal.ID
		Marks  []seal.ID
	}
	// Condemn announces the deletion of packs.
	Condemn struct{ Packs []PackID }
	// Drop commits the deletion of packs.
	Drop struct{ Packs []PackID }
	// Checkpoint stands for the journal up to a seq.
	Checkpoint struct {
		Seq    uint64
		Tables []TableRef
		Root   seal.Hash
	}
	// Adopt takes over the tree of another device.
	Adopt struct {
		Device seal.ID
		Seq    uint64
		Hash   seal.Hash
	}
	// Share opens or closes a share room.
	Share struct {
		Room        seal.ID
		Secret      [32]byte
		Open        bool
		Directories []seal.ID
	}
	// Unknown is an operation of a later version.
	Unknown struct {
		Type, Since uint64
		Payload     []byte
	}
)

// TableRef names a table of a checkpoint.
type TableRef struct {
	Random    seal.ID
	SizeBytes uint64
	Hash      seal.Hash
}

// DeleteReason says why an entry is no longer in the tree.
type DeleteReason byte

// The reasons of a Delete.
const (
	Gone       DeleteReason = 1
	Unselected DeleteReason = 2
)

func (*Source) opType() (uint64, uint64)     { return 1, 1 }
func (*PackAdd) opType() (uint64, uint64)    { return 2, 1 }
func (*Put) opType() (uint64, uint64)        { return 3, 1 }
func (*Part) opType() (uint64, uint64)       { return 4, 1 }
func (*MoveDir) opType() (uint64, uint64)    { return 5, 1 }
func (*Delete) opType() (uint64, uint64)     { return 6, 1 }
func (*Mark) opType() (uint64, uint64)       { return 7, 1 }
func (*Policy) opType() (uint64, uint64)     { return 8, 2 }
func (*Hold) opType() (uint64, uint64)       { return 9, 2 }
func (*Forget) opType() (uint64, uint64)     { return 10, 2 }
func (*Condemn) opType() (uint64, uint64)    { return 11, 2 }
func (*Drop) opType() (uint64, uint64)       { return 12, 2 }
func (*Checkpoint) opType() (uint64, uint64) { return 13, 2 }
func (*Adopt) opType() (uint64, uint64)      { return 14, 1 }
func (*Share) opType() (uint64, uint64)      { return 15, 2 }
func (u *Unknown) opType() (uint64, uint64)  { return u.Type, u.Since }

// LevelOf is the format level that a reader must know to fold op.
func LevelOf(op Operation) uint64 {
	_, level := op.opType()
	return level
}

// CheckLevel returns ErrNewer, naming the level, for an operation that this
// version does not fold: of a later level, of a type it does not know, or of
// a known type at another level than its own.
func CheckLevel(op Operation) error {
	number, level := op.opType()
	if _, unknown := op.(*Unknown); unknown || level > Level {
		return fmt.Errorf("operation of type %d, vault level %d: %w", number, level, ErrNewer)
	}
	return nil
}

func (e *encoder) entryName(n EntryName) { e.id(n.Parent); e.text(n.Name) }

func (e *encoder) chunks(c Chunks) {
	e.uv(uint64(c.Level))
	e.uv(uint64(len(c.IDs)))
	for _, id := range c.IDs {
		e.hash(id)
	}
}

func (e *encoder) attributes(list []Attribute) {
	e.uv(uint64(len(list)))
	for _, a := range list {
		e.text(a.Name)
		e.text(a.Value)
	}
}

func (e *encoder) ids(list []seal.ID) {
	e.uv(uint64(len(list)))
	for _, id := range list {
		e.id(id)
	}
}

func (e *encoder) packs(list []PackID) {
	e.uv(uint64(len(list)))
	for _, p := range list {
		e.id(p.Device)
		e.uv(p.Seq)
		e.id(p.Random)
	}
}

func (e *encoder) bool(v bool) {
	if v {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

func (e *encoder) meta(m *Meta) {
	e.uv(uint64(m.Mode))
	e.uv(uint64(m.UID))
	e.uv(uint64(m.GID))
	e.text(m.User)
	e.text(m.Group)
	e.time(m.ModTime)
	e.time(m.ChangeTime)
	e.uv(m.FileID)
	e.uv(uint64(m.WinAttrs))
	e.attributes(m.Attributes)
	e.bool(m.LinkGroup != seal.ID{})
	if m.LinkGroup != (seal.ID{}) {
		e.id(m.LinkGroup)
	}
}

// node writes a meta, a kind and what the kind needs.
func (e *encoder) node(n *Node) {
	e.meta(&n.Meta)
	e.u8(byte(n.Kind))
	switch n.Kind {
	case KindFile:
		e.uv(n.SizeBytes)
		e.chunks(n.Chunks)
	case KindDirectory:
		e.id(n.Directory)
	case KindSymlink:
		e.text(n.Target)
	case KindSpecial:
		e.u8(byte(n.Special))
		e.uv(uint64(n.Major))
		e.uv(uint64(n.Minor))
	}
}

func (o *Source) encode(e *encoder) { e.id(o.ID); e.text(o.Path); e.text(o.System) }

func (o *PackAdd) encode(e *encoder) {
	e.id(o.Random)
	e.uv(uint64(o.Epoch))
	e.uv(o.SizeBytes)
	e.framesAndChunks(o.Frames, o.Chunks)
}

func (e *encoder) framesAndChunks(frames []uint32, chunks []ChunkInfo) {
	e.uv(uint64(len(frames)))
	for _, f := range frames {
		e.uv(uint64(f))
	}
	e.uv(uint64(len(chunks)))
	for _, c := range chunks {
		e.hash(c.ID)
		e.uv(uint64(c.SizeBytes))
	}
}

func (o *Put) encode(e *encoder) { e.entryName(o.EntryName); e.node(&o.Node) }

func (o *Part) encode(e *encoder) {
	e.entryName(o.EntryName)
	e.uv(o.OffsetBytes)
	e.uv(o.SizeBytes)
	e.chunks(o.Chunks)
}

func (o *MoveDir) encode(e *encoder) { e.id(o.Directory); e.entryName(o.To) }
func (o *Delete) encode(e *encoder)  { e.entryName(o.EntryName); e.u8(byte(o.Reason)) }

func (o *Mark) encode(e *encoder) {
	e.id(o.ID)
	e.time(o.Time)
	e.text(o.Label)
	e.ids(o.Sources)
}

func (o *Policy) encode(e *encoder)  { e.attributes(o.Settings) }
func (o *Hold) encode(e *encoder)    { e.id(o.Device); e.id(o.Mark); e.bool(o.Held) }
func (o *Forget) encode(e *encoder)  { e.id(o.Device); e.ids(o.Marks) }
func (o *Condemn) encode(e *encoder) { e.packs(o.Packs) }
func (o *Drop) encode(e *encoder)    { e.packs(o.Packs) }

func (o *Checkpoint) encode(e *encoder) {
	e.uv(o.Seq)
	e.uv(uint64(len(o.Tables)))
	for _, t := range o.Tables {
		e.id(t.Random)
		e.uv(t.SizeBytes)
		e.hash(t.Hash)
	}
	e.hash(o.Root)
}

func (o *Adopt) encode(e *encoder) { e.id(o.Device); e.uv(o.Seq); e.hash(o.Hash) }

func (o *Share) encode(e *encoder) {
	e.id(o.Room)
	e.raw(o.Secret[:])
	e.bool(o.Open)
	e.ids(o.Directories)
}

func (u *Unknown) encode(e *encoder) { e.raw(u.Payload) }

// AppendOperation appends op as it stands in a segment.
func AppendOperation(dst []byte, op Operation) []byte {
	var p encoder
	op.encode(&p)
	number, level := op.opType()
	e := encoder{dst}
	e.uv(number)
	e.uv(level)
	e.bytes(p.b)
	return e.b
}
