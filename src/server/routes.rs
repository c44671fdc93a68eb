//! The routes of a node, by its roles, and the documents that describe all of them.

use std::sync::OnceLock;

use axum::Router;
use bytes::Bytes;

use crate::{
    api::{self, Api, OpenApiDocument},
    config::{NodeRole, ServeArgs},
    http::{self, AddressLimits, CorsOrigins},
    socket::{self, Gateway},
    wire,
};

/// The OpenAPI document, whatever the roles of a node.
#[must_use]
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    let mut document = api::common_router().merge(api::metrics_router()).merge(api::router()).to_openapi();
    document.merge(socket::router().to_openapi());
    api::document::complete(&mut document);
    document
}

/// The documents in which a server describes itself.
pub(super) struct Documents {
    pub openapi: OpenApiDocument,
    pub asyncapi: Bytes,
}

impl Documents {
    /// Made once in a process, however many servers it has.
    pub(super) fn get() -> anyhow::Result<&'static Self> {
        static MADE: OnceLock<Documents> = OnceLock::new();
        if let Some(made) = MADE.get() {
            return Ok(made);
        }
        let openapi = OpenApiDocument::new(&openapi_document())?;
        let asyncapi = wire::asyncapi_yaml()?.into();
        Ok(MADE.get_or_init(|| Self { openapi, asyncapi }))
    }
}

pub(super) fn admin_routes(api: Api) -> Router {
    let parameters = api.document.parameters().clone();
    let (router, _) = api::admin_router().split_for_parts();
    http::with_layers(api::with_fallbacks(router.with_state(api), None), &CorsOrigins::None, parameters)
}

pub(super) fn routes(
    args: &ServeArgs,
    (api, gateway): (Api, Gateway),
    has_metrics: bool,
    limits: Option<AddressLimits>,
) -> anyhow::Result<Router> {
    let (roles, parameters) = (&args.roles, api.document.parameters().clone());
    let mut router = api::common_router();
    if has_metrics {
        router = router.merge(api::metrics_router());
    }
    if roles.contains(&NodeRole::Api) {
        router = router.merge(api::router());
    }
    let (router, _) = router.split_for_parts();
    let mut router = router.with_state(api);
    if roles.contains(&NodeRole::Gateway) {
        let (sockets, _) = socket::router().split_for_parts();
        router = router.merge(sockets.with_state(gateway));
    }
    let has_page = roles.contains(&NodeRole::Api);
    let page = has_page.then(api::page_of_unknown_addresses).flatten();
    let router = api::with_fallbacks(router, page);
    let router = match limits {
        Some(limits) => limits.in_front_of(router),
        None => router,
    };
    Ok(http::with_layers(router, &args.cors()?, parameters))
}
