// The package that openapi-generator makes for Java, against a server.

import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.CanvasApi;
import org.openapitools.client.api.DrawingsApi;
import org.openapitools.client.api.OpsApi;
import org.openapitools.client.model.*;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        var client = new ApiClient();
        client.updateBaseUri(System.getenv("REVCAST_BASE"));
        var token = System.getenv("REVCAST_TOKEN");
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        var ops = new OpsApi(client);
        var drawings = new DrawingsApi(client);

        var drawing = drawings.createDrawing(new CreateDrawing()).getDrawingId();
        var points = List.of(List.of(0.0, 0.0), List.of(4.0, 3.0, 0.5));
        var stroke = new StrokeBegin().type(StrokeBegin.TypeEnum.STROKE_BEGIN).opId(UUID.randomUUID());
        stroke.objectId("s1").tool("pen").props(Map.of("width", 3)).points(points);
        var custom = new CustomOp().type("custom.dice").opId(UUID.randomUUID()).data("six");
        var request = new CommitRequest().ops(List.of(new Op(stroke), new Op(custom)));
        require(ops.commitOps(drawing, request).getLatestRevision() == 2, "two ops");
        var undone = new CanvasApi(client).undo(drawing, null);
        require(undone.getUnit().equals(stroke.getOpId()), undone);

        var page = ops.readOps(drawing, null, null, null, null, null).getOps();
        var first = page.get(0).getCommittedStrokeBegin();
        require(first.getPoints().equals(points), first);
        var second = page.get(1).getCommittedOtherOp();
        require(second.getType().equals("custom.dice") && second.getData().equals("six"), second);
        require(page.get(2).getCommittedUndo().getUnit().equals(stroke.getOpId()), page.get(2));

        try {
            drawings.getDrawing(UUID.randomUUID());
            require(false, "a drawing that does not exist");
        } catch (ApiException refusal) {
            var problem = client.getObjectMapper().readValue(refusal.getResponseBody(), Problem.class);
            require(refusal.getCode() == 404 && problem.getCode().equals("not_found"), problem);
        }
    }

    private static void require(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }
}
