//! A client of event streams (HTML, 9.2).

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::{Answer, Client, within};

/// Time to wait for one event.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream.
pub struct Events {
    response: Response,
    received: String,
}

/// One event, or a comment, which has no name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
    pub retry: Option<u64>,
}

impl Events {
    /// Opens the stream of a drawing, with this query and these headers.
    pub async fn open(client: &Client, drawing: &str, query: &str, headers: &[(&str, &str)]) -> Self {
        let path = format!("/v1/drawings/{drawing}/events{query}");
        let mut request = client.request(Method::GET, &path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, received: String::new() }
    }

    /// The answer where no stream opens.
    pub async fn refused(client: &Client, drawing: &str, query: &str, headers: &[(&str, &str)]) -> Answer {
        client.get_with(&format!("/v1/drawings/{drawing}/events{query}"), headers).await
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.received.split_once("\n\n") {
                let event = parse(block);
                self.received = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("the stream stays silent");
            let Some(chunk) = chunk.ok().flatten() else {
                assert_eq!(self.received, "", "the stream ends inside an event");
                return None;
            };
            self.received.push_str(str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name; others are passed over.
    pub async fn next_of(&mut self, name: &str) -> Event {
        within(name, async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ends without {name}"));
                if event.name == name {
                    return event;
                }
            }
        })
        .await
    }

    /// The next `count` ops.
    pub async fn ops(&mut self, count: usize) -> Vec<Value> {
        let mut ops = Vec::new();
        while ops.len() < count {
            ops.extend(self.next_of("ops").await.data["ops"].as_array().unwrap().iter().cloned());
        }
        ops
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim_start();
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => event.id = Some(value.to_owned()),
            "retry" => event.retry = Some(value.parse().unwrap()),
            "data" => event.data = serde_json::from_str(value).unwrap(),
            "" => (),
            other => panic!("an event with a field {other}"),
        }
    }
    event
}
