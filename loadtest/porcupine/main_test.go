package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const checker = "../../target/debug/revcast-checker"

// correct returns a correct history that the checker has made up.
func correct(t *testing.T, seed string) []*drawing {
	t.Helper()
	made, err := exec.Command(checker, "generate", "--seed", seed, "--events", "3000", "--drawings", "6").Output()
	if err != nil {
		t.Fatalf("%s makes no history (make porcupine-check builds it): %v", checker, err)
	}
	path := filepath.Join(t.TempDir(), "history.ndjson")
	if err := os.WriteFile(path, made, 0o600); err != nil {
		t.Fatal(err)
	}
	history, err := read([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	return history
}

func verdict(history []*drawing) int {
	return judge(history, 8, 4000, 20*time.Second)
}

func TestCorrectHistoriesAreLinearizable(t *testing.T) {
	for _, seed := range []string{"1", "2", "3", "4", "5"} {
		if status := verdict(correct(t, seed)); status != 0 {
			t.Errorf("seed %s: %d", seed, status)
		}
	}
}

// commit lets a client of the drawing commit an op after all else, with a step of a second before and after.
func commit(d *drawing, now *int64, id string, revision int64) {
	d.requests = append(d.requests, after(d, now,
		line{Call: "append", Ops: []op{{OpID: id}}},
		line{Results: []op{{OpID: id, Revision: revision}}}))
}

func after(d *drawing, now *int64, sent, ended line) *request {
	d.clocks["doctor"] = clock{}
	sent.Client, ended.Client, ended.Event, ended.Epoch = "doctor", "doctor", "ok", "end"
	sent.T, ended.T = *now+1_000_000_000, *now+2_000_000_000
	*now = ended.T
	return &request{&sent, &ended}
}

func TestDoctoredHistoriesAreNot(t *testing.T) {
	head := func(d *drawing) int64 { return int64(len(d.last())) }
	read := func(d *drawing, now *int64, head int64) {
		d.requests = append(d.requests, after(d, now, line{Call: "page"}, line{LatestRevision: head}))
	}
	faults := map[string]func(*drawing, *int64){
		"two ops in the order that time forbids": func(d *drawing, now *int64) {
			n := head(d)
			commit(d, now, "early", n+2)
			commit(d, now, "late", n+1)
		},
		"an acknowledged op that is lost": func(d *drawing, now *int64) {
			n := head(d)
			commit(d, now, "lost", n+1)
			commit(d, now, "other", n+1)
		},
		"a stale read": func(d *drawing, now *int64) {
			n := head(d)
			commit(d, now, "new", n+1)
			read(d, now, n)
		},
		"a read of what is not there": func(d *drawing, now *int64) {
			read(d, now, head(d)+1)
		},
	}
	for name, fault := range faults {
		d := correct(t, "1")[0]
		now := int64(1) << 52
		fault(d, &now)
		if status := verdict([]*drawing{d}); status != 1 {
			t.Errorf("%s: %d", name, status)
		}
	}
	d := correct(t, "1")[0]
	now := int64(1) << 52
	commit(d, &now, "new", head(d)+1)
	read(d, &now, head(d)+1)
	if status := verdict([]*drawing{d}); status != 0 {
		t.Errorf("what comes after without a fault: %d", status)
	}
}

func TestWhatIsNotFoundOutInTimeIsUnknown(t *testing.T) {
	if status := judge(correct(t, "1"), 1, 4000, time.Nanosecond); status != 3 {
		t.Errorf("status %d", status)
	}
}
