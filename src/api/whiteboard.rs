//! `/`: the whiteboard, as it was in `web/dist` when the program was built, and a page that says so when it was not.
//!
//! Owns the headers of its files. It knows nothing of what they do; they come to drawings over the interface, as any
//! client does.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::extract::knows_etag;

/// The files that the build of the whiteboard left, if there was one.
#[derive(Debug, RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
pub(super) struct Whiteboard;

/// The folder in which the names of files bear a hash of what is in them.
const HASHED: &str = "assets/";

/// The policy for what the files may load: what is served beside them, pictures that they make, and sockets.
/// `'self'` covers sockets too, though not in every browser.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      style-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const MISSING: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Revcast</title>
<h1>Revcast</h1>
<p>This server runs, but the whiteboard is not part of this build: it was built without Node.js. To have it here, install
Node.js 20.19 with npm and run <code>make web</code>, then build the server again. <code>make run</code> does both.
<p>What there is: <a href=\"/docs\">the reference of the interface</a> and its documents,
<a href=\"/openapi.json\">OpenAPI</a> and <a href=\"/asyncapi.yaml\">AsyncAPI</a>.
</html>
";

/// A path for each of the files; `/` for `index.html`, or for a page that says that it is missing.
///
/// There is no path for all others: the whiteboard keeps its places behind a `#`. [`UnknownAddress`] answers a person
/// there.
pub fn router<Files: RustEmbed, S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new();
    for name in Files::iter() {
        let Some(file) = Files::get(&name) else { continue };
        let file = Served::new(&name, file);
        if name == "index.html" {
            router = router.route("/", file.clone().route());
        }
        router = router.route(&format!("/{name}"), file.route());
    }
    if Files::get("index.html").is_none() {
        router = router.route("/", get(missing));
    }
    router
}

/// The page for a person who follows an address that leads nowhere: the whiteboard, which says so.
#[derive(Clone, Debug)]
pub struct UnknownAddress {
    page: Bytes,
}

impl UnknownAddress {
    /// Returns `None` where there is no whiteboard.
    pub fn of<Files: RustEmbed>() -> Option<Self> {
        let file = Files::get("index.html")?;
        Some(Self { page: Served::new("index.html", file).content })
    }

    /// Returns the page if a browser asks for it to be read, and not a program that takes the path for one of the
    /// interface.
    pub(super) fn answer(&self, method: &Method, uri: &Uri, request: &HeaderMap) -> Option<Response> {
        let is_read = method == Method::GET || method == Method::HEAD;
        let of_the_interface = uri.path() == "/v1" || uri.path().starts_with("/v1/");
        if !is_read || of_the_interface || !takes_html(request) {
            return None;
        }
        let mut headers = safe_headers();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type("index.html")));
        Some((StatusCode::NOT_FOUND, headers, self.page.clone()).into_response())
    }
}

/// Browsers name HTML when they open a page. A client that takes anything is a program, or asks for a part of a
/// page.
fn takes_html(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
    })
}

/// A file with what its answers say of it.
#[derive(Clone, Debug)]
struct Served {
    content: Bytes,
    content_type: &'static str,
    cache_control: &'static str,
    /// Weak: the bytes differ by content encoding.
    etag: String,
}

impl Served {
    fn new(name: &str, file: EmbeddedFile) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = file.metadata.sha256_hash();
        let hash = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let content = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        };
        let is_hashed = name.starts_with(HASHED);
        Self {
            content,
            content_type: content_type(name),
            cache_control: if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" },
            etag: format!("W/\"{hash:016x}\""),
        }
    }

    fn route<S: Clone + Send + Sync + 'static>(self) -> axum::routing::MethodRouter<S> {
        get(move |request: HeaderMap| {
            let response = self.respond(&request);
            async { response }
        })
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let mut headers = safe_headers();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        if knows_etag(request, &self.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        (headers, self.content.clone()).into_response()
    }
}

async fn missing() -> Response {
    let mut headers = safe_headers();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (headers, MISSING).into_response()
}

/// On every answer: a worker has the policy that its script came with.
fn safe_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        // The address of a drawing is nobody else's business.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ])
}

/// Browsers are told not to guess, so that each kind of file is named here.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
