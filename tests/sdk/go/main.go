// The package that openapi-generator makes for Go, against a server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"judge/revcast"
)

func main() {
	settings := revcast.NewConfiguration()
	settings.Servers = revcast.ServerConfigurations{{URL: os.Getenv("REVCAST_BASE")}}
	client := revcast.NewAPIClient(settings)
	ctx := context.WithValue(context.Background(), revcast.ContextAccessToken, os.Getenv("REVCAST_TOKEN"))

	drawing, _, err := client.DrawingsAPI.CreateDrawing(ctx).Execute()
	require(err == nil, err)
	stroke := "0198f0a0-7d2c-7001-8000-000000000004"
	points := [][]float64{{0, 0}, {4, 3, 0.5}}
	var width interface{} = 3
	begin := revcast.NewStrokeBegin("s1", stroke, points, map[string]*interface{}{"width": &width}, "pen", "stroke.begin")
	custom := revcast.NewCustomOp("six", "0198f0a0-7d2c-7001-8000-000000000005", "custom.dice")
	request := revcast.NewCommitRequest([]revcast.Op{revcast.StrokeBeginAsOp(begin), revcast.CustomOpAsOp(custom)})
	committed, _, err := client.OpsAPI.CommitOps(ctx, drawing.DrawingId).CommitRequest(*request).Execute()
	require(err == nil && committed.LatestRevision == 2, err)
	undone, _, err := client.CanvasAPI.Undo(ctx, drawing.DrawingId).Execute()
	require(err == nil && undone.Unit == stroke, err)

	page, _, err := client.OpsAPI.ReadOps(ctx, drawing.DrawingId).Execute()
	require(err == nil && len(page.Ops) == 3, err)
	first := page.Ops[0].CommittedStrokeBegin
	require(first != nil && first.ObjectId == "s1" && len(first.Points) == 2, page.Ops[0])
	// An op that has no type of its own is empty.
	require(page.Ops[1].GetActualInstance() == nil, page.Ops[1])
	require(page.Ops[2].CommittedUndo != nil && page.Ops[2].CommittedUndo.Unit == stroke, page.Ops[2])

	_, _, err = client.DrawingsAPI.GetDrawing(ctx, stroke).Execute()
	var refusal *revcast.GenericOpenAPIError
	require(errors.As(err, &refusal), err)
	problem, isProblem := refusal.Model().(revcast.Problem)
	require(isProblem && problem.Code == "not_found", err)
}

func require(holds bool, what interface{}) {
	if !holds {
		fmt.Fprintf(os.Stderr, "%+v\n", what)
		os.Exit(1)
	}
}
