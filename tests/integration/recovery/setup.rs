//! An outage of the store as it is tried from outside: what is told while it lasts, and that it is over soon after its end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loadtest::services::TempFolder;
use serde_json::Value;

use crate::support::{Client, LIFTED_LIMITS, eventually, op, program::Serving, revisions};

/// The time within which the server is back (G11).
const RECOVERY: Duration = Duration::from_secs(5);
/// The time that a machine that runs other tests beside this one may add.
const BUSY_MACHINE: Duration = Duration::from_secs(3);
/// Longer than any pause of the server between two looks: what is told then does not change by itself.
const STEADY: Duration = Duration::from_secs(4);
/// Writes that are tried during an outage, at the same time.
const TRIALS: usize = 8;

/// A server, a drawing, and what was acknowledged.
pub struct Trial {
    pub server: Serving,
    pub alice: Client,
    pub drawing: String,
    acked: Vec<(String, u64)>,
    _blobs: TempFolder,
}

/// The behaviour that is expected in an outage.
pub struct Expected<'a> {
    /// The reasons that `/readyz` may name.
    pub reasons: &'a [&'a str],
    /// True if what was written can be read meanwhile.
    pub reads_go_on: bool,
}

impl Trial {
    /// Starts a server with these flags.
    pub async fn start(flags: &[&str]) -> Self {
        let blobs = TempFolder::new("blobs").unwrap();
        let blob_url = format!("file:{}", blobs.path().display());
        let mut flags = [&LIFTED_LIMITS[..], flags].concat();
        if !flags.contains(&"--blob-url") {
            flags.extend(["--blob-url", &blob_url]);
        }
        let server = Serving::start(&flags).await;
        let alice = Client::new(&server.base, "alice").await;
        let drawing = alice.create_drawing().await;
        let mut trial = Self { server, alice, drawing, acked: Vec::new(), _blobs: blobs };
        assert_eq!(trial.write().await, 200);
        trial.alice.get("/readyz").await.expect(200);
        trial
    }

    /// Tries to write an op, and returns the status.
    pub async fn write(&mut self) -> u16 {
        let op = op(self.acked.len() as u64);
        let answer = self.alice.commit(&self.drawing, std::slice::from_ref(&op)).await;
        match answer.status {
            200 => {
                let revision = answer.json()["results"][0]["revision"].as_u64().unwrap();
                self.acked.push((op["op_id"].as_str().unwrap().to_owned(), revision));
                200
            }
            _ => {
                assert_eq!((answer.status, &*answer.code()), (503, "store_unavailable"), "{answer:?}");
                assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                503
            }
        }
    }

    /// Tries writes until one has this status.
    pub async fn write_until(&mut self, status: u16) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.write().await != status {
            assert!(Instant::now() < deadline, "no write came to {status}");
        }
    }

    /// The body of `/readyz`, and its status.
    pub async fn readiness(&self) -> (u16, Value) {
        let answer = self.alice.get("/readyz").await;
        (answer.status, answer.json())
    }

    /// Lives through an outage that has begun, until `end` ends it. One line tells of it, however much failed.
    pub async fn live_through(&mut self, expected: &Expected<'_>, end: impl AsyncFnOnce()) {
        self.live_through_noisily(expected, end).await;
        let told = [self.server.lines("ERROR"), self.server.lines("WARN")].concat();
        assert_eq!(told.len(), 1, "{told:#?}");
    }

    /// The same where more may be told.
    pub async fn live_through_noisily(&mut self, expected: &Expected<'_>, end: impl AsyncFnOnce()) {
        self.write_until(503).await;
        eventually("it is told that nothing can be written", || async {
            let (status, body) = self.readiness().await;
            (status == 503).then_some(body)
        })
        .await;
        let trials = join_all((0..TRIALS).map(|x| {
            let (alice, drawing) = (&self.alice, &self.drawing);
            async move { alice.commit(drawing, &[op(x as u64)]).await }
        }));
        for answer in trials.await {
            answer.expect_problem(503, "store_unavailable");
        }
        // Some time after what was tried in vain it is told still, and why.
        tokio::time::sleep(STEADY).await;
        let (status, body) = self.readiness().await;
        assert_eq!(
            (status, &body["status"], &body["store"]),
            (503, &"unavailable".into(), &false.into()),
            "{body}"
        );
        let reason = body["reason"].as_str().unwrap();
        assert!(expected.reasons.contains(&reason), "{body}");
        self.alice.get("/healthz").await.expect(200);
        if expected.reads_go_on {
            self.check_log().await;
        }
        end().await;
        self.recover().await;
        eventually("the end of the outage is told", || async {
            (self.server.count("the store takes writes again") == 1).then_some(())
        })
        .await;
        assert_eq!(self.server.count("the store takes no writes"), 1);
    }

    /// Is back in time after an outage that ends now.
    pub async fn recover(&mut self) {
        let ended = Instant::now();
        self.write_until(200).await;
        eventually("it is ready again", || async { (self.readiness().await.0 == 200).then_some(()) }).await;
        assert!(ended.elapsed() < RECOVERY + BUSY_MACHINE, "{:?}", ended.elapsed());
        self.check_log().await;
    }

    /// Everything acknowledged is in the log once, where it was said to be.
    pub async fn check_log(&self) {
        // A read may be the first to meet a session that was killed.
        eventually("the log can be read", || async {
            let path = format!("/v1/drawings/{}/ops?after=0&limit=1", self.drawing);
            (self.alice.get(&path).await.status == 200).then_some(())
        })
        .await;
        let log = self.alice.read_all(&self.drawing, 0).await;
        assert_eq!(revisions(&log), (1..=log.len() as u64).collect::<Vec<_>>());
        for (id, revision) in &self.acked {
            let found: Vec<_> =
                log.iter().filter(|op| op["op_id"] == **id).map(|op| op["revision"].as_u64()).collect();
            assert_eq!(found, [Some(*revision)], "{id}");
        }
    }
}
