package main

import (
	"hash/fnv"

	"github.com/anishathalye/porcupine"
)

// state is a log: its last op, and through it all before. Logs that began alike share what they have in common.
type state struct {
	revision int64
	id       string
	before   *state
	hash     uint64
}

// placed is an op at a revision; duplicate if it was there before.
type placed struct {
	id        string
	revision  int64
	duplicate bool
}

// output is what an operation was told: where its ops stand or, of a read, the head and ops below it.
type output struct {
	isRead bool
	head   int64
	ops    []placed
}

// model is a log that starts empty. An append gets the next revisions, in order; a read sees all that is there.
var model = porcupine.Model{
	Init: func() interface{} { return (*state)(nil) },
	Step: func(from, _, to interface{}) (bool, interface{}) {
		log, out := from.(*state), to.(output)
		if out.isRead && log.head() != out.head {
			return false, log
		}
		for _, op := range out.ops {
			if out.isRead || op.duplicate {
				if !log.has(op) {
					return false, log
				}
				continue
			}
			if op.revision != log.head()+1 {
				return false, log
			}
			log = log.push(op.id)
		}
		return true, log
	},
	Equal: func(one, two interface{}) bool {
		a, b := one.(*state), two.(*state)
		return a.head() == b.head() && a.sum() == b.sum()
	},
	Hash: func(log interface{}) uint64 { return log.(*state).sum() },
}

func (log *state) head() int64 {
	if log == nil {
		return 0
	}
	return log.revision
}

func (log *state) sum() uint64 {
	if log == nil {
		return 0
	}
	return log.hash
}

func (log *state) push(id string) *state {
	sum := fnv.New64a()
	for shift := 0; shift < 64; shift += 8 {
		sum.Write([]byte{byte(log.sum() >> shift)})
	}
	sum.Write([]byte(id))
	return &state{revision: log.head() + 1, id: id, before: log, hash: sum.Sum64()}
}

func (log *state) has(op placed) bool {
	at := log
	for at != nil && at.revision > op.revision {
		at = at.before
	}
	return at != nil && at.revision == op.revision && at.id == op.id
}
