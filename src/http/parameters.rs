//! The parameters of query strings that no operation has: typing errors that nobody would notice otherwise.
//!
//! Owns the rule by which names are reported. The value of a parameter is never reported: it may be a ticket.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::http::{Method, Uri};
use url::form_urlencoded;
use utoipa::openapi::OpenApi;

use crate::limits;

/// Unknown parameters of one request that are named in the log.
const MAX_LOGGED_PARAMETERS: usize = 8;

/// The names of the parameters of each operation, by its path. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct QueryParameters(Arc<HashMap<(Method, String), BTreeSet<String>>>);

impl QueryParameters {
    /// Those that the document has.
    ///
    /// # Errors
    /// When the document cannot be written as JSON.
    pub fn of(document: &OpenApi) -> serde_json::Result<Self> {
        let document = serde_json::to_value(document)?;
        let mut all = HashMap::new();
        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let Ok(method) = method.to_ascii_uppercase().parse() else { continue };
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let names = parameters.filter(|parameter| parameter["in"] == "query");
                let names = names.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned));
                all.insert((method, path.clone()), names.collect());
            }
        }
        Ok(Self(Arc::new(all)))
    }

    /// The names in the query string that the operation does not have, parted by blanks; `None` when there are
    /// none. A name that does not look like one is shown as `?`: it may be a value that has lost its name.
    pub(super) fn unknown(&self, method: &Method, path: &str, uri: &Uri) -> Option<String> {
        let query = uri.query().filter(|query| !query.is_empty())?;
        // HEAD is answered as GET is.
        let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
        let known = self.0.get(&(method, path.to_owned()));
        let mut unknown = BTreeSet::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if known.is_some_and(|known| known.contains(&*name)) {
                continue;
            }
            unknown.insert(if looks_like_a_name(&name) { name.into_owned() } else { "?".to_owned() });
            if unknown.len() > MAX_LOGGED_PARAMETERS {
                unknown.pop_last();
                unknown.insert("…".to_owned());
                break;
            }
        }
        (!unknown.is_empty()).then(|| Vec::from_iter(unknown).join(" "))
    }
}

fn looks_like_a_name(text: &str) -> bool {
    (1..=limits::MAX_NAME_CHARS).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(query: &str) -> Option<String> {
        let names = BTreeSet::from(["after", "wait"].map(str::to_owned));
        let known = HashMap::from([((Method::GET, "/ops".to_owned()), names)]);
        let uri = format!("/ops?{query}").parse().unwrap();
        QueryParameters(Arc::new(known)).unknown(&Method::HEAD, "/ops", &uri)
    }

    #[test]
    fn unknown_parameters_are_told_by_name() {
        for known in ["", "after=1", "after=1&wait=2&after=3", "&&", "w%61it=1"] {
            assert_eq!(unknown(known), None, "{known}");
        }
        let told = |query: &str| unknown(query).unwrap();
        assert_eq!(told("after=1&wiat=2"), "wiat");
        assert_eq!(told("b=1&a=2&b=3"), "a b");
        assert_eq!(told("After=1"), "After");
        assert_eq!(told("filter[x]=secret&token=secret"), "filter[x] token");
    }

    #[test]
    fn what_is_no_name_is_not_told() {
        let ticket = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl";
        for odd in [ticket, "=secret", "%0a=1", "a%1b[31m=1", "%00", "%ff", "a%20b", "ä=1", &"x".repeat(33)]
        {
            assert_eq!(unknown(odd).unwrap(), "?", "{odd}");
        }
        let many: Vec<_> = (10..40).map(|nth| format!("p{nth}=1")).collect();
        assert_eq!(unknown(&many.join("&")).unwrap(), "p10 p11 p12 p13 p14 p15 p16 p17 …");
    }
}
