package source

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// maxNames and maxNameBytes bound the names of one directory that are held in
// memory: those of a larger one go to a file, and come back in order.
// While they are merged, each run takes another 16 KiB.
const (
	maxNames     = 16 << 10
	maxNameBytes = 1 << 20
	runBuffer    = 16 << 10 // bytes of a run in memory while runs are merged
)

// nameList is the names in a directory in the order of their bytes, without
// "." and "..": sorted runs, of which all but the last are in a file.
type nameList struct {
	held []string // the last run
	file *os.File // nil while one run is enough
	ends []int64  // of the runs in the file
	lens []int    // how many names each of them has
	runs runs     // what is left of each, once it is read
	last error    // why the list ends before the directory does
}

// A lot says how the names of directories are read, and what is too many of
// them. It is for one goroutine.
type lot struct {
	nameReader
	spool string // for what memory should not hold; empty: memory holds all
	most  int    // names that memory should hold
}

// listNames reads the names in the directory. The list has those that could be
// read, and says at its end what went wrong.
func (d *Dir) listNames(l *lot) *nameList {
	n := &nameList{}
	size, spool := 0, l.spool
	for n.last == nil {
		some, err := l.some(d.f)
		for _, name := range some {
			size += len(name)
		}
		n.held, n.last = append(n.held, some...), err
		if len(some) == 0 {
			break
		}
		if spool != "" && (len(n.held) >= l.most || size >= maxNameBytes) {
			if n.spill(spool) != nil {
				spool = "" // memory has to do
			}
			size = 0
		}
	}
	slices.Sort(n.held)
	if err := n.begin(); err != nil {
		n.last, n.runs, n.held = cmp.Or(n.last, err), nil, nil
	}
	return n
}

// spill writes the names that are held as a sorted run. With an error they are
// still held.
func (n *nameList) spill(spool string) (err error) {
	if n.file == nil {
		if n.file, err = os.CreateTemp(spool, "names-*"); err != nil {
			return err
		}
	}
	slices.Sort(n.held)
	w := bufio.NewWriterSize(n.file, runBuffer)
	size := n.start(len(n.ends))
	for _, name := range n.held {
		head := binary.AppendUvarint(nil, uint64(len(name)))
		size += int64(len(head) + len(name))
		_, _ = w.Write(head) // Flush gives its error
		_, _ = w.WriteString(name)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	n.ends, n.lens = append(n.ends, size), append(n.lens, len(n.held))
	clear(n.held)
	n.held = n.held[:0]
	return nil
}

// start is where a run begins in the file.
func (n *nameList) start(run int) int64 {
	if run == 0 {
		return 0
	}
	return n.ends[run-1]
}

// begin reads the first name of each run in the file.
func (n *nameList) begin() error {
	for i, end := range n.ends {
		at := n.start(i)
		r := &nameRun{r: bufio.NewReaderSize(io.NewSectionReader(n.file, at, end-at), runBuffer), left: n.lens[i]}
		if more, err := r.next(); err != nil {
			return err
		} else if more {
			n.runs = append(n.runs, r)
		}
	}
	heap.Init(&n.runs)
	return nil
}

// next returns the next name, or the error with which the list ends; io.EOF if
// there is none.
func (n *nameList) next() (name string, err error) {
	if len(n.runs) > 0 && (len(n.held) == 0 || n.runs[0].name < n.held[0]) {
		r := n.runs[0]
		name = r.name
		more, err := r.next()
		switch {
		case err != nil:
			n.last = cmp.Or(n.last, err)
			n.runs, n.held = nil, nil // what follows has a gap
		case more:
			heap.Fix(&n.runs, 0)
		default:
			heap.Pop(&n.runs)
		}
		return name, nil
	}
	if len(n.held) > 0 {
		name, n.held = n.held[0], n.held[1:]
		return name, nil
	}
	return "", cmp.Or(n.last, io.EOF)
}

// close removes the file.
func (n *nameList) close() {
	if n.file != nil {
		_ = n.file.Close() // it was only for this list
		_ = os.Remove(n.file.Name())
	}
}

// nameRun is the rest of a sorted run.
type nameRun struct {
	r    *bufio.Reader
	left int // names to come
	name string
}

// next reads the next name, if there is one more.
func (r *nameRun) next() (more bool, err error) {
	if r.left == 0 {
		return false, nil
	}
	r.left--
	size, err := binary.ReadUvarint(r.r)
	if err == nil && size > math.MaxUint16 {
		err = errors.New("a name is too long")
	}
	if err == nil {
		b := make([]byte, size)
		_, err = io.ReadFull(r.r, b)
		r.name = string(b)
	}
	if err != nil {
		err = fmt.Errorf("reading the sorted names of a large directory: %w", err)
	}
	return true, err
}

// runs are a heap by their names.
type runs []*nameRun

func (r runs) Len() int           { return len(r) }
func (r runs) Less(i, j int) bool { return r[i].name < r[j].name }
func (r runs) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *runs) Push(x any)        { *r = append(*r, x.(*nameRun)) }
func (r *runs) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	*r = (*r)[:last]
	return x
}
