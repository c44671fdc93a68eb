//! A user of the HTTP interface.

use loadtest::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};

use super::{new_id, op};

/// A user with a token for one server.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub token: String,
    http: reqwest::Client,
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The `code` of a problem body, after checking that it is one and fits the status.
    pub fn code(&self) -> String {
        let body = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(body["status"], self.status, "{body}");
        assert!(body["retryable"].is_boolean() && body["title"].is_string(), "{body}");
        body["code"].as_str().expect("a problem has a code").to_owned()
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Panics unless it is a problem with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

impl Client {
    /// A client with a development token for `user`.
    pub async fn new(base: &str, user: &str) -> Self {
        let client = Self::with_token(base, "");
        let answer =
            client.call(Method::POST, "/v1/dev/tokens", Some(&json!({"sub": user}))).await.expect(200);
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Self { token, ..client }
    }

    /// A client with any token.
    pub fn with_token(base: &str, token: &str) -> Self {
        Self { base: base.to_owned(), token: token.to_owned(), http: reqwest::Client::new() }
    }

    /// The same user at another node.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request that is not finished yet.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Sends a request and reads the answer.
    pub async fn send(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert!(status != 503 || headers.contains_key("retry-after"), "a 503 says when to come back");
        Ok(Answer { status, headers, bytes: response.bytes().await?.to_vec() })
    }

    /// Sends a request with or without JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Self::send(request).await.expect("the server answers")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Reads with further headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::send(request).await.expect("the server answers")
    }

    /// Posts bytes that claim to be JSON.
    pub async fn post_bytes(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body);
        Self::send(request).await.expect("the server answers")
    }

    /// The head of a drawing.
    pub async fn head(&self, drawing: &str) -> u64 {
        let answer = self.get(&format!("/v1/drawings/{drawing}")).await.expect(200);
        answer.json()["latest_revision"].as_u64().expect("a drawing has a head")
    }

    /// Creates a drawing and returns its id.
    pub async fn create_drawing(&self) -> String {
        let id = new_id();
        self.post("/v1/drawings", &json!({"drawing_id": id})).await.expect(201);
        id
    }

    /// Gives a user a role.
    pub async fn grant(&self, drawing: &str, user: &str, role: &str) {
        let path = format!("/v1/drawings/{drawing}/members/{user}");
        self.call(Method::PUT, &path, Some(&json!({"role": role}))).await.expect(200);
    }

    /// Takes a user's role away.
    pub async fn revoke(&self, drawing: &str, user: &str) {
        self.call(Method::DELETE, &format!("/v1/drawings/{drawing}/members/{user}"), None).await.expect(204);
    }

    /// Posts ops.
    pub async fn commit(&self, drawing: &str, ops: &[Value]) -> Answer {
        self.post(&format!("/v1/drawings/{drawing}/ops"), &json!({"ops": ops})).await
    }

    /// Commits `count` small ops, and returns them.
    pub async fn commit_some(&self, drawing: &str, count: u64) -> Vec<Value> {
        let ops: Vec<Value> = (0..count).map(op).collect();
        for chunk in ops.chunks(500) {
            self.commit(drawing, chunk).await.expect(200);
        }
        ops
    }

    /// Reads the whole log after `after`, page by page.
    pub async fn read_all(&self, drawing: &str, mut after: u64) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page =
                self.get(&format!("/v1/drawings/{drawing}/ops?after={after}")).await.expect(200).json();
            all.extend(page["ops"].as_array().unwrap().iter().cloned());
            let to = page["to"].as_u64().unwrap();
            if page["complete"] == true {
                return all;
            }
            assert!(to > after, "a page brings nothing: {page}");
            after = to;
        }
    }

    /// Opens a socket.
    pub async fn socket(&self) -> Socket {
        Socket::open(&self.base, &self.token).await.expect("the socket opens")
    }
}
