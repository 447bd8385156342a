package vault

import (
	"fmt"
	"strings"

	"holm.example/engine/seal"
)

// CheckEntryName returns ErrMalformed for a name that no entry can have.
func CheckEntryName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > MaxName || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("entry name %.80q: %w", name, ErrMalformed)
	}
	return nil
}

func (d *decoder) entryName() EntryName {
	n := EntryName{d.id(), d.text(MaxName, "name")}
	if d.err == nil {
		if err := CheckEntryName(n.Name); err != nil {
			d.err, d.b = err, nil
		}
	}
	return n
}

func (d *decoder) chunks() Chunks {
	c := Chunks{Level: int(d.upTo(MaxListLevel, "list level"))}
	n := d.count(MaxInlineChunks, len(seal.Hash{}), "chunk list")
	if n > 0 {
		c.IDs = make([]seal.Hash, n)
	}
	for i := range c.IDs {
		c.IDs[i] = d.hash()
	}
	return c
}

func (d *decoder) attributes(what string) []Attribute {
	n := d.count(MaxAttributes, 2, what)
	var list []Attribute
	for range n {
		a := Attribute{d.text(MaxText, what), d.text(MaxText, what)}
		if len(list) > 0 && a.Name <= list[len(list)-1].Name {
			d.fail(what + " out of order")
			return nil
		}
		list = append(list, a)
	}
	return list
}

func (d *decoder) ids(limit uint64, what string) []seal.ID {
	n := d.count(limit, len(seal.ID{}), what)
	var list []seal.ID
	for range n {
		list = append(list, d.id())
	}
	return list
}

func (d *decoder) packs() []PackID {
	n := d.count(MaxSegment, 33, "pack list")
	var list []PackID
	for range n {
		p := PackID{d.id(), d.upTo(maxSeq, "seq"), d.id()}
		if d.err == nil && p.Seq == 0 {
			d.fail("seq of a pack")
		}
		list = append(list, p)
	}
	return list
}

func (d *decoder) bool(what string) bool { return d.oneOf(what, 0, 1) == 1 }
func (d *decoder) u32v(what string) uint32 {
	return uint32(d.upTo(1<<32-1, what))
}

func (d *decoder) meta() (m Meta) {
	m.Mode = uint32(d.upTo(0o7777, "mode"))
	m.UID, m.GID = d.u32v("uid"), d.u32v("gid")
	m.User, m.Group = d.text(MaxText, "user"), d.text(MaxText, "group")
	m.ModTime, m.ChangeTime = d.time(), d.time()
	m.FileID = d.uv()
	m.WinAttrs = d.u32v("attributes")
	m.Attributes = d.attributes("extended attribute")
	if d.bool("link group") {
		m.LinkGroup = d.id()
		if m.LinkGroup == (seal.ID{}) {
			d.fail("link group")
		}
	}
	return m
}

func (d *decoder) node() (n Node) {
	n.Meta = d.meta()
	n.Kind = EntryKind(d.oneOf("kind", 1, 2, 3, 4))
	switch n.Kind {
	case KindFile:
		n.SizeBytes = d.uv()
		n.Chunks = d.chunks()
	case KindDirectory:
		n.Directory = d.id()
	case KindSymlink:
		n.Target = d.text(MaxText, "target")
	case KindSpecial:
		n.Special = SpecialType(d.oneOf("special type", 1, 2, 3, 4))
		n.Major, n.Minor = d.u32v("major"), d.u32v("minor")
		if device := n.Special == CharDevice || n.Special == BlockDevice; !device && (n.Major|n.Minor) != 0 {
			d.fail("number of what is no device")
		}
	}
	return n
}

// framesAndChunks reads the lists of a pack and checks that they agree: as
// many frames as the stream of the chunks makes.
func (d *decoder) framesAndChunks() (frames []uint32, chunks []ChunkInfo) {
	n := d.count(MaxFrames, 1, "frames")
	for range n {
		f := d.uv()
		if f < minSealedFrame || f > maxSealedFrame {
			d.fail("frame length")
			return nil, nil
		}
		frames = append(frames, uint32(f))
	}
	n = d.count(MaxPackChunks, len(seal.Hash{})+1, "chunks of a pack")
	chunks = make([]ChunkInfo, 0, n)
	var stream uint64
	for range n {
		c := ChunkInfo{d.hash(), uint32(d.upTo(MaxChunk, "chunk length"))}
		if c.SizeBytes == 0 {
			d.fail("chunk length")
			return nil, nil
		}
		stream += uint64(c.SizeBytes)
		chunks = append(chunks, c)
	}
	if d.err == nil && (stream+FrameSize-1)/FrameSize != uint64(len(frames)) {
		d.fail("frames and chunks disagree")
	}
	return frames, chunks
}

func (d *decoder) packAdd() *PackAdd {
	o := &PackAdd{Random: d.id(), Epoch: d.u32v("epoch"), SizeBytes: d.upTo(MaxPack, "pack size")}
	o.Frames, o.Chunks = d.framesAndChunks()
	total := uint64(headSize + footerSize)
	for _, f := range o.Frames {
		total += uint64(f)
	}
	if d.err == nil && (o.SizeBytes < total || o.Epoch == 0) {
		d.fail("pack size")
	}
	return o
}

func (d *decoder) checkpoint() *Checkpoint {
	o := &Checkpoint{Seq: d.upTo(maxSeq, "seq")}
	n := d.count(MaxOperations, 49, "tables")
	for range n {
		o.Tables = append(o.Tables, TableRef{d.id(), d.uv(), d.hash()})
	}
	o.Root = d.hash()
	return o
}

// payload reads the payload of an operation of a known type.
func (d *decoder) payload(number uint64) Operation {
	switch number {
	case 1:
		return &Source{d.id(), d.text(MaxText, "path"), d.text(MaxText, "system")}
	case 2:
		return d.packAdd()
	case 3:
		return &Put{d.entryName(), d.node()}
	case 4:
		return &Part{d.entryName(), d.uv(), d.uv(), d.chunks()}
	case 5:
		return &MoveDir{d.id(), d.entryName()}
	case 6:
		return &Delete{d.entryName(), DeleteReason(d.oneOf("reason", 1, 2))}
	case 7:
		return &Mark{d.id(), d.time(), d.text(MaxText, "label"), d.ids(MaxMarkSources, "sources")}
	case 8:
		return &Policy{d.attributes("policy")}
	case 9:
		return &Hold{d.id(), d.id(), d.bool("hold")}
	case 10:
		return &Forget{d.id(), d.ids(MaxSegment, "marks")}
	case 11:
		return &Condemn{d.packs()}
	case 12:
		return &Drop{d.packs()}
	case 13:
		return d.checkpoint()
	case 14:
		return &Adopt{d.id(), d.upTo(maxSeq, "seq"), d.hash()}
	case 15:
		return &Share{d.id(), seal.Hash(d.hash()), d.bool("share"), d.ids(MaxSegment, "directories")}
	}
	return nil
}

// operation reads one operation. One whose type or level this version does
// not know comes back as Unknown.
func (d *decoder) operation() Operation {
	number, level := d.uv(), d.uv()
	body := d.raw(int(d.upTo(MaxSegment, "operation")))
	if d.err != nil {
		return nil
	}
	p := decoder{b: body}
	op := p.payload(number)
	if op == nil || LevelOf(op) != level {
		return &Unknown{number, level, append([]byte(nil), body...)}
	}
	if err := p.end(); err != nil {
		d.err, d.b = fmt.Errorf("operation %d: %w", number, err), nil
		return nil
	}
	return op
}

// ParseOperation reads what AppendOperation wrote, and nothing after it.
func ParseOperation(b []byte) (Operation, error) {
	d := decoder{b: b}
	op := d.operation()
	if err := d.end(); err != nil {
		return nil, err
	}
	return op, nil
}

// AppendNode appends a node in the form that a Put has it.
func AppendNode(dst []byte, n *Node) []byte {
	e := encoder{dst}
	e.node(n)
	return e.b
}

// ParseNode reads what AppendNode wrote.
func ParseNode(b []byte) (Node, error) {
	d := decoder{b: b}
	n := d.node()
	return n, d.end()
}
