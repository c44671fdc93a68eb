// Command porcupine lets Porcupine, a checker of linearizability that others have made, judge a sample of a history
// (docs/history-format.md): each drawing by itself, as a log to which requests append and of which reads have a part.
//
// It ends with 0 if the sample is linearizable, with 1 if it is not, with 2 if it cannot be read, and with 3 if that was
// not found out in time.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

func main() {
	drawings := flag.Int("drawings", 8, "drawings in the sample")
	operations := flag.Int("operations", 4000, "operations of a drawing above which it is left out")
	timeout := flag.Duration("timeout", 30*time.Second, "time for each drawing")
	flag.Parse()
	history, err := read(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(judge(history, *drawings, *operations, *timeout))
}

// judge prints a line for each drawing of the sample, and returns the status to end with.
func judge(history []*drawing, drawings, operations int, timeout time.Duration) int {
	status, sampled := 0, 0
	for _, drawing := range history {
		ops := drawing.operations()
		if sampled == drawings || len(ops) == 0 || len(ops) > operations {
			continue
		}
		sampled++
		switch porcupine.CheckOperationsTimeout(model, ops, timeout) {
		case porcupine.Ok:
			fmt.Printf("%s: %d operations, linearizable\n", drawing.name, len(ops))
		case porcupine.Illegal:
			fmt.Printf("%s: %d operations, NOT linearizable\n", drawing.name, len(ops))
			status = 1
		default:
			fmt.Printf("%s: %d operations, unknown after %s\n", drawing.name, len(ops), timeout)
			if status == 0 {
				status = 3
			}
		}
	}
	if sampled == 0 {
		fmt.Fprintln(os.Stderr, "no drawing of the history fits into the sample")
		return 2
	}
	return status
}
