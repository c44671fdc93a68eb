//! The look of presence in the OpenAPI and the AsyncAPI document. `room::presence` writes it.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One present connection.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes a part of a body that is spliced in as it is")]
pub(crate) struct PresenceView {
    user_id: String,
    #[schema(required)]
    name: Option<String>,
    /// The state that the connection shows.
    #[schema(value_type = Object)]
    state: HashMap<String, Value>,
}
