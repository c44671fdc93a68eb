//! `/openapi.json`, `/asyncapi.yaml` and `/docs`: the description of the interface, and a page that shows it.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use super::Api;
use crate::{error::Error, http::problem::Problem};

/// The frame of the OpenAPI document; paths and schemas are added by the routers.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Revcast",
        description = "REST commits the truth; the socket broadcasts the truth. Every error is an \
                       `application/problem+json` with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The server that this document came from")),
    modifiers(&Bearer),
    components(schemas(Problem)),
    security(("bearer" = [])),
    tags(
        (name = "drawings", description = "Drawings and their metadata"),
        (name = "members", description = "The users of a drawing and their roles"),
        (name = "links", description = "Share links"),
        (name = "ops", description = "The log: commit and read"),
        (name = "canvas", description = "The canvas that the log makes: snapshots, undo and redo, exports"),
        (name = "identity", description = "Tickets and development tokens"),
        (name = "live", description = "The socket and event streams; `/asyncapi.yaml` describes their messages"),
        (name = "operations", description = "Health and metrics"),
    )
)]
pub struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .route("/openapi.json", get(openapi_json))
        .route("/asyncapi.yaml", get(asyncapi_yaml))
        .route("/docs", get(docs_page))
        .route("/docs/scalar.js", get(docs_script))
}

async fn openapi_json(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], api.document.json()).into_response()
}

async fn asyncapi_yaml(State(api): State<Api>) -> Response {
    // RFC 9512.
    ([(header::CONTENT_TYPE, "application/yaml")], Bytes::clone(&api.asyncapi)).into_response()
}

/// The page takes its script from this server and is kept from asking anybody else.
async fn docs_page() -> Response {
    let configuration = serde_json::json!({
        "url": "/openapi.json",
        "withDefaultFonts": false,
        "telemetry": false,
        "agent": { "disabled": true },
        "hideClientButton": true,
        "showDeveloperTools": "never",
    });
    let page = scalar_api_reference::scalar_html(&configuration, Some("/docs/scalar.js"));
    let policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                  img-src 'self' data:; font-src 'self' data:";
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (headers, page).into_response()
}

async fn docs_script() -> Result<Response, Error> {
    let (_, script) = scalar_api_reference::get_asset_with_mime("scalar.js")
        .ok_or_else(|| Error::not_found("the script"))?;
    let headers =
        [(header::CONTENT_TYPE, "text/javascript"), (header::CACHE_CONTROL, "public, max-age=86400")];
    Ok((headers, script).into_response())
}
