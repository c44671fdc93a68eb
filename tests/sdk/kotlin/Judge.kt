// The package that openapi-generator makes for Kotlin, against a server.

import java.util.UUID
import kotlin.system.exitProcess
import kotlinx.serialization.json.JsonPrimitive
import org.openapitools.client.apis.CanvasApi
import org.openapitools.client.apis.DrawingsApi
import org.openapitools.client.apis.OpsApi
import org.openapitools.client.infrastructure.ApiClient
import org.openapitools.client.infrastructure.ClientError
import org.openapitools.client.infrastructure.ClientException
import org.openapitools.client.infrastructure.Serializer
import org.openapitools.client.models.*

fun main() {
    val base = System.getenv("REVCAST_BASE")
    ApiClient.accessToken = System.getenv("REVCAST_TOKEN")
    // Else what is absent is sent as null.
    Serializer.kotlinxSerializationJsonConfiguration = { explicitNulls = false }
    val ops = OpsApi(base)
    val drawings = DrawingsApi(base)

    val drawing = drawings.createDrawing(CreateDrawing()).drawingId
    val points = listOf(listOf(0.0, 0.0), listOf(4.0, 3.0, 0.5))
    val props = mapOf("width" to JsonPrimitive(3))
    val stroke = StrokeBegin("s1", UUID.randomUUID(), points, props, "pen", StrokeBegin.Type.strokePeriodBegin)
    val custom = CustomOp(JsonPrimitive("six"), UUID.randomUUID(), "custom.dice")
    val request = CommitRequest(listOf(Op.StrokeBeginValue(stroke), Op.CustomOpValue(custom)))
    check(ops.commitOps(drawing, request).latestRevision == 2L)
    check(CanvasApi(base).undo(drawing).unit == stroke.opId)

    val (first, second, third) = ops.readOps(drawing).ops
    check(first is CommittedOp.CommittedStrokeBeginValue && first.value.points == points) { first }
    check(second is CommittedOp.CommittedOtherOpValue && second.value.data == JsonPrimitive("six")) { second }
    check(third is CommittedOp.CommittedUndoValue && third.value.unit == stroke.opId) { third }

    try {
        drawings.getDrawing(UUID.randomUUID())
        error("a drawing that does not exist")
    } catch (refusal: ClientException) {
        val body = (refusal.response as ClientError<*>).body as String
        val problem = Serializer.kotlinxSerializationJson.decodeFromString(Problem.serializer(), body)
        check(refusal.statusCode == 404 && problem.code == "not_found") { problem }
    }
    // Idle connections would keep it for a minute.
    exitProcess(0)
}
