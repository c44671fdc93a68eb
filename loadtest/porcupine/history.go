package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/anishathalye/porcupine"
)

// line has the fields of all events that are looked at.
type line struct {
	Event, Client, Drawing, Call, Epoch string
	T, ID                               int64
	Offset, Error                       *int64
	PreviousEpoch                       *string `json:"previous_epoch"`
	Base                                int64
	LatestRevision                      int64 `json:"latest_revision"`
	At, Until                           *int64
	To, Revision                        int64
	OpID                                string `json:"op_id"`
	Ops                                 []op
	Results                             []op
}

type op struct {
	OpID      string `json:"op_id"`
	Revision  int64
	Duplicate bool
}

type clock struct{ offset, margin int64 }

// request is a request and its end, if it had one.
type request struct {
	sent, ended *line
}

type trunk struct {
	next string
	base int64
}

type drawing struct {
	name     string
	clocks   map[string]clock
	requests []*request
	byID     map[string]*request
	// next has, by epoch, the one that goes on with it.
	next map[string]trunk
	// log has the ops of the last epoch, by id.
	logs map[string]map[string]int64
}

// read reads files, all of which are one history.
func read(paths []string) ([]*drawing, error) {
	byName, clocks := map[string]*drawing{}, map[string]clock{}
	var all []*drawing
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		reader := bufio.NewReaderSize(file, 1<<20)
		for number := 1; ; number++ {
			text, err := reader.ReadBytes('\n')
			if err == io.EOF && len(text) == 0 {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", path, number, err)
			}
			event := new(line)
			if err := json.Unmarshal(text, event); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", path, number, err)
			}
			if event.Event == "client" {
				if event.Offset != nil && event.Error != nil {
					clocks[event.Client] = clock{*event.Offset, *event.Error}
				}
				continue
			}
			of := byName[event.Drawing]
			if of == nil {
				of = &drawing{name: event.Drawing, clocks: clocks, byID: map[string]*request{},
					next: map[string]trunk{}, logs: map[string]map[string]int64{}}
				byName[event.Drawing] = of
				all = append(all, of)
			}
			if err := of.take(event); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", path, number, err)
			}
		}
	}
	return all, nil
}

func (d *drawing) take(event *line) error {
	key := fmt.Sprint(event.Client, " ", event.ID)
	switch event.Event {
	case "invoke":
		d.byID[key] = &request{sent: event}
		d.requests = append(d.requests, d.byID[key])
	case "ok", "fail", "info":
		if d.byID[key] == nil {
			return fmt.Errorf("request %d of client %s has not begun", event.ID, event.Client)
		}
		d.byID[key].ended = event
	case "log":
		if event.PreviousEpoch != nil {
			d.next[*event.PreviousEpoch] = trunk{event.Epoch, event.Base}
		}
	case "entry":
		if d.logs[event.Epoch] == nil {
			d.logs[event.Epoch] = map[string]int64{}
		}
		d.logs[event.Epoch][event.OpID] = event.Revision
	}
	return nil
}

// isVoid tells whether a position lies on a branch that was lost.
func (d *drawing) isVoid(epoch string, revision int64) bool {
	for steps := 0; steps <= len(d.next); steps++ {
		after, ok := d.next[epoch]
		if !ok {
			return false
		}
		if revision > after.base {
			return true
		}
		epoch = after.next
	}
	return false
}

// last has the ops of the log that no other epoch goes on with.
func (d *drawing) last() map[string]int64 {
	for epoch, log := range d.logs {
		if _, ok := d.next[epoch]; !ok {
			return log
		}
	}
	return nil
}

// operations makes the operations of the line that went on. An op that nobody was told of, because it timed out or the
// server wrote it by itself, is placed where the log has it, at any time.
func (d *drawing) operations() []porcupine.Operation {
	log := d.last()
	var made []porcupine.Operation
	told := map[string]bool{}
	add := func(call, end int64, out output) {
		made = append(made, porcupine.Operation{ClientId: len(made), Call: call, Output: out, Return: end})
	}
	began := map[string]int64{}
	for _, r := range d.requests {
		for _, sent := range r.sent.Ops {
			if at, ok := began[sent.OpID]; !ok || d.earliest(r.sent) < at {
				began[sent.OpID] = d.earliest(r.sent)
			}
		}
		if r.ended == nil || r.ended.Event != "ok" {
			continue
		}
		call, end := d.earliest(r.sent), d.latest(r.ended)
		switch r.sent.Call {
		case "append", "undo", "redo":
			out := output{}
			for _, result := range r.ended.Results {
				if d.isVoid(r.ended.Epoch, result.Revision) {
					continue
				}
				out.ops = append(out.ops, placed{result.OpID, result.Revision, result.Duplicate})
				told[result.OpID] = told[result.OpID] || !result.Duplicate
			}
			if len(out.ops) > 0 {
				add(call, end, out)
			}
		case "page", "snapshot":
			out, ok := d.seen(r)
			if ok {
				add(call, end, out)
			}
		}
	}
	for id, revision := range log {
		if told[id] {
			continue
		}
		call, ok := began[id]
		if !ok {
			call = math.MinInt64
		}
		add(call, math.MaxInt64, output{ops: []placed{{id, revision, false}}})
	}
	return made
}

// seen makes the output of a read of the head; not of one that may come from a cache, or was of a lost branch.
func (d *drawing) seen(r *request) (output, bool) {
	out := output{isRead: true, head: r.ended.Revision}
	if r.sent.Call == "page" {
		if r.sent.Until != nil && *r.sent.Until == r.ended.To {
			return out, false
		}
		out.head = r.ended.LatestRevision
		for _, seen := range r.ended.Ops {
			out.ops = append(out.ops, placed{id: seen.OpID, revision: seen.Revision})
		}
	} else if r.sent.At != nil {
		return out, false
	}
	return out, !d.isVoid(r.ended.Epoch, out.head)
}

func (d *drawing) earliest(event *line) int64 {
	if known, ok := d.clocks[event.Client]; ok {
		return event.T + known.offset - known.margin
	}
	return math.MinInt64
}

func (d *drawing) latest(event *line) int64 {
	if known, ok := d.clocks[event.Client]; ok {
		return event.T + known.offset + known.margin
	}
	return math.MaxInt64
}
