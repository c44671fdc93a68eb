//! The whiteboard at `/`: what is embedded is served as it should be, and a build without it says so.
//!
//! A build may have a whiteboard or not; so both states are tested with folders of their own.

use std::collections::BTreeSet;

use axum::Router;
use reqwest::{Method, header};
use revcast::{
    api::{whiteboard, with_fallbacks},
    http::{CorsOrigins, QueryParameters, with_layers},
};
use rust_embed::RustEmbed;
use tokio::task::JoinHandle;

use crate::support::{Answer, App, Client};

#[derive(RustEmbed)]
#[folder = "tests/integration/whiteboard"]
struct Built;

#[derive(RustEmbed)]
#[folder = "tests/integration/no-whiteboard"]
#[allow_missing = true]
struct NotBuilt;

const SCRIPT: &str = "/assets/app-Dk3xQ0aB.js";

/// The files of a folder, served as a node does; until the handle goes.
struct Site {
    anyone: Client,
    served: JoinHandle<()>,
}

impl Site {
    async fn of<Files: RustEmbed>() -> Self {
        let router = Router::new().merge(whiteboard::router::<Files, ()>());
        let router = with_fallbacks(router, whiteboard::UnknownAddress::of::<Files>());
        let router = with_layers(router, &CorsOrigins::None, QueryParameters::default());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { anyone: Client::with_token(&base, ""), served }
    }

    async fn get(&self, path: &str) -> Answer {
        self.anyone.get(path).await
    }

    async fn get_with(&self, path: &str, name: header::HeaderName, value: &str) -> Answer {
        Client::send(self.anyone.request(Method::GET, path).header(name, value)).await.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn text(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
}

/// The sources that a directive of the policy allows.
fn allowed(answer: &Answer, directive: &str) -> BTreeSet<String> {
    let policy = text(answer, "content-security-policy");
    let found = policy.split(';').map(str::trim).find_map(|part| part.strip_prefix(directive));
    found
        .unwrap_or_else(|| panic!("no {directive} in {policy}"))
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn assert_safe(answer: &Answer) {
    assert_eq!(text(answer, "x-content-type-options"), "nosniff", "{answer:?}");
    assert_eq!(text(answer, "referrer-policy"), "no-referrer");
    let policy = text(answer, "content-security-policy");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    for directive in ["default-src", "style-src", "worker-src"] {
        assert_eq!(allowed(answer, directive), ["'self'".to_owned()].into());
    }
    assert_eq!(allowed(answer, "frame-ancestors"), ["'none'".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_its_type_and_is_kept_as_long_as_its_name_allows() {
    let site = Site::of::<Built>().await;
    let (once, for_ever) = ("no-cache", "public, max-age=31536000, immutable");
    for (path, content_type, cache_control) in [
        ("/", "text/html; charset=utf-8", once),
        ("/index.html", "text/html; charset=utf-8", once),
        ("/sw.js", "text/javascript; charset=utf-8", once),
        ("/favicon.svg", "image/svg+xml", once),
        ("/manifest.webmanifest", "application/manifest+json", once),
        (SCRIPT, "text/javascript; charset=utf-8", for_ever),
        ("/assets/app-B1c2D3e4.css", "text/css; charset=utf-8", for_ever),
    ] {
        let answer = site.get(path).await.expect(200);
        assert_eq!(text(&answer, "content-type"), content_type, "{path}");
        assert_eq!(text(&answer, "cache-control"), cache_control, "{path}");
        assert_safe(&answer);
        let name = if path == "/" { "index.html" } else { &path[1..] };
        assert_eq!(answer.bytes, *Built::get(name).unwrap().data, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let site = Site::of::<Built>().await;
    for path in ["/", SCRIPT] {
        let etag = text(&site.get(path).await, "etag");
        let again = site.get_with(path, header::IF_NONE_MATCH, &etag).await.expect(304);
        assert!(again.bytes.is_empty());
        assert_eq!(text(&again, "etag"), etag);
        assert_safe(&again);
        site.get_with(path, header::IF_NONE_MATCH, "\"another\"").await.expect(200);
    }
    assert_ne!(text(&site.get("/").await, "etag"), text(&site.get(SCRIPT).await, "etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_compressed_for_those_who_take_it() {
    let site = Site::of::<Built>().await;
    let packed = site.get_with(SCRIPT, header::ACCEPT_ENCODING, "gzip").await.expect(200);
    assert_eq!(text(&packed, "content-encoding"), "gzip");
    assert!(text(&packed, "vary").contains("accept-encoding"), "{packed:?}");
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.bytes[..]), &mut content).unwrap();
    assert_eq!(content, site.get(SCRIPT).await.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_what_get_would() {
    let site = Site::of::<Built>().await;
    for path in ["/", SCRIPT] {
        let (get, head) =
            (site.get(path).await, site.anyone.call(Method::HEAD, path, None).await.expect(200));
        assert!(head.bytes.is_empty());
        for name in ["content-type", "content-length", "cache-control", "etag", "content-security-policy"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{name} of {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_stays_a_problem() {
    let site = Site::of::<Built>().await;
    for path in ["/d/1", "/assets/", "/assets/app-00000000.js", "/assets/../index.html/x", "/v1/nothing"] {
        site.get(path).await.expect_problem(404, "not_found");
    }
    for path in ["/", SCRIPT] {
        let answer = site.anyone.call(Method::POST, path, None).await;
        answer.expect_problem(405, "method_not_allowed");
    }
}

/// The `Accept` header of Chromium and Firefox when a page is opened.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_an_unknown_address_gets_the_page_and_a_program_gets_a_problem() {
    let site = Site::of::<Built>().await;
    for path in ["/d/1", "/boards", "/v1x", "/robots.txt?really=1"] {
        let answer = site.get_with(path, header::ACCEPT, BROWSER).await.expect(404);
        assert_eq!(text(&answer, "content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(text(&answer, "cache-control"), "no-cache", "{path}");
        assert!(text(&answer, "vary").contains("accept,"), "{answer:?}");
        assert_eq!(text(&answer, "etag"), "", "it is not that of the page at the root");
        assert_safe(&answer);
        assert_eq!(answer.bytes, *Built::get("index.html").unwrap().data, "{path}");
        for accept in ["application/json", "*/*", "text/plain, image/*"] {
            site.get_with(path, header::ACCEPT, accept).await.expect_problem(404, "not_found");
        }
    }
    for path in ["/v1", "/v1/nothing", "/v1/drawings/none/of/these"] {
        site.get_with(path, header::ACCEPT, BROWSER).await.expect_problem(404, "not_found");
    }
    let posted = site.anyone.request(Method::POST, "/d/1").header(header::ACCEPT, BROWSER);
    Client::send(posted).await.unwrap().expect_problem(404, "not_found");
    let bare = Site::of::<NotBuilt>().await;
    bare.get_with("/d/1", header::ACCEPT, BROWSER).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_the_whiteboard_says_so() {
    let site = Site::of::<NotBuilt>().await;
    let answer = site.get("/").await.expect(200);
    assert_eq!(text(&answer, "content-type"), "text/html; charset=utf-8");
    assert_eq!(text(&answer, "cache-control"), "no-cache");
    assert_safe(&answer);
    let page = String::from_utf8(answer.bytes).unwrap();
    for part in ["not part of this build", "make web", "href=\"/docs\""] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    site.get("/index.html").await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_the_role_api_have_a_page_at_the_root() {
    let app = App::sqlite().await;
    let answer = Client::with_token(&app.base, "").get("/").await.expect(200);
    assert_eq!(text(&answer, "content-type"), "text/html; charset=utf-8");
    assert_safe(&answer);
    // Its scripts and styles are where it says that they are.
    let page = String::from_utf8(answer.bytes).unwrap();
    for part in page.split(['"', '\'']).filter(|part| part.starts_with("/assets/")) {
        Client::with_token(&app.base, "").get(part).await.expect(200);
    }
    let gateway = App::sqlite_with(&["--roles", "gateway"]).await;
    Client::with_token(&gateway.base, "").get("/").await.expect_problem(404, "not_found");
}
