//! Two nodes behind each of the balancers that `deploy/` has a file for: one by one they stop and come back, or one is
//! killed, and clients notice nothing that they cannot mend. `REVCAST_BALANCERS=nginx,haproxy,caddy` tries all of them.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use loadtest::{
    services::{Balancer, BalancerKind, Revcast, free_port},
    socket::Socket,
};
use reqwest::Method;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::support::{
    Client, LIFTED_LIMITS,
    crowd::{Crowd, CrowdLog, DRAWINGS, READERS, Retry},
    events::Events,
    eventually, nats_url, new_database, new_id, program, revisions,
};

/// The time within which most drawings are written to again after a node was killed.
const MOVED_WITHIN: Duration = Duration::from_millis(500);
/// The time within which every one of them is.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for which a node tells the balancer that it will stop: balancers that ask have to notice it by then.
fn notice(kind: BalancerKind) -> &'static str {
    if kind == BalancerKind::Nginx { "200ms" } else { "3s" }
}

/// Two nodes that may be down, and the balancer.
struct Deployment {
    nodes: [Option<Revcast>; 2],
    addresses: [String; 2],
    flags: Vec<String>,
    balancer: Balancer,
}

impl Deployment {
    async fn start(kind: BalancerKind) -> Self {
        let (database, nats) = (new_database(), nats_url());
        let flags =
            ["--dev", "--database-url", &database, "--nats-url", &nats, "--drain-notice", notice(kind)];
        let flags =
            [&flags[..], &["--drain-window", "500ms", "--heartbeat", "500ms"], &LIFTED_LIMITS].concat();
        let flags: Vec<_> = flags.into_iter().map(str::to_owned).collect();
        spawn_blocking(move || {
            let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", free_port().unwrap()));
            let nodes = addresses.each_ref().map(|address| Some(start_node(address, &flags)));
            let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
            let balancer = Balancer::start(kind, &deploy, addresses.each_ref().map(String::as_str)).unwrap();
            Self { nodes, addresses, flags, balancer }
        })
        .await
        .unwrap()
    }

    /// Alice, as she comes through the balancer.
    async fn alice(&self) -> Client {
        // A balancer that has just started may not know its nodes yet.
        let anybody = Client::with_token(&self.balancer.base, "");
        eventually("the balancer leads to a node", || async {
            (anybody.get("/healthz").await.status == 200).then_some(())
        })
        .await;
        Client::new(&self.balancer.base, "alice").await
    }

    /// Stops a node as an upgrade does, and starts it again.
    async fn restart(&mut self, nth: usize) {
        let (mut node, address, flags) =
            (self.nodes[nth].take().unwrap(), self.addresses[nth].clone(), self.flags.clone());
        let restarting = spawn_blocking(move || {
            node.terminate().unwrap();
            start_node(&address, &flags)
        });
        self.nodes[nth] = Some(restarting.await.unwrap());
        self.until_used(nth).await;
    }

    /// Waits until a node commits ops for the balancer.
    async fn until_used(&self, nth: usize) {
        let node = Client::with_token(&format!("http://{}", self.addresses[nth]), "");
        eventually("the balancer leads to the node", || async {
            let metrics = String::from_utf8(node.get("/metrics").await.bytes).unwrap();
            let commits = metrics.lines().find_map(|line| line.strip_prefix("revcast_commits_total "))?;
            (commits.parse::<f64>().unwrap() > 0.0).then_some(())
        })
        .await;
    }
}

fn start_node(address: &str, flags: &[String]) -> Revcast {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    Revcast::start_at(program::binary(), address, &flags).unwrap()
}

/// The balancers whose restarts and kills are tried: nginx, or those that the variable names.
fn tried() -> Vec<BalancerKind> {
    let names = std::env::var("REVCAST_BALANCERS").unwrap_or_else(|_| "nginx".to_owned());
    let kind = |name: &str| match name {
        "nginx" => BalancerKind::Nginx,
        "haproxy" => BalancerKind::Haproxy,
        "caddy" => BalancerKind::Caddy,
        other => panic!("REVCAST_BALANCERS has no {other}"),
    };
    names.split(',').map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_restart_one_by_one_fail_no_request() {
    for kind in tried() {
        let mut deployment = Deployment::start(kind).await;
        let crowd = Crowd::start(&deployment.alice().await, Retry::Never).await;
        for nth in [0, 1] {
            deployment.until_used(nth).await;
        }
        for nth in [0, 1] {
            deployment.restart(nth).await;
            crowd.go_on().await;
        }
        let CrowdLog { acknowledged, failures, reconnects } = crowd.stop().await;
        assert_eq!(failures, Vec::<String>::new(), "{kind:?}");
        assert!(reconnects >= READERS, "each was on one of the nodes: {reconnects}");
        let longest = acknowledged.iter().map(|op| op.took).max();
        println!("{kind:?}: {} writes, the longest took {longest:?}", acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_at_the_other_node_when_one_is_killed() {
    for kind in tried() {
        let mut deployment = Deployment::start(kind).await;
        let crowd = Crowd::start(&deployment.alice().await, Retry::AtOnce).await;
        for nth in [0, 1] {
            deployment.until_used(nth).await;
        }
        crowd.go_on().await;
        let killed_at = Instant::now();
        deployment.nodes[0].take().unwrap().kill().unwrap();
        crowd.go_on().await;
        crowd.go_on().await;
        let CrowdLog { acknowledged, failures, .. } = crowd.stop().await;
        // A busy machine is slow without a kill, too.
        let usual =
            acknowledged.iter().filter(|op| op.posted_at + op.took < killed_at).map(|op| op.took).max();
        // For each drawing: when the first op was acknowledged of those that were posted after the kill.
        let mut moved = HashMap::new();
        for op in acknowledged.iter().filter(|op| op.posted_at > killed_at) {
            let after = op.posted_at + op.took - killed_at;
            let first = moved.entry(&op.drawing).or_insert(after);
            *first = after.min(*first);
        }
        let mut moved: Vec<_> = moved.into_values().collect();
        moved.sort();
        println!(
            "{kind:?}: {} requests failed, writes went on after {moved:?}; before, {usual:?}",
            failures.len()
        );
        assert_eq!(moved.len(), DRAWINGS, "all are written to again");
        let most = moved[DRAWINGS / 2];
        assert!(most < MOVED_WITHIN + usual.unwrap(), "{kind:?}: {moved:?}; {failures:?}");
        assert!(moved[DRAWINGS - 1] < PATIENCE, "{kind:?}: {moved:?}; {failures:?}");
    }
}

/// Passes what is larger than a balancer takes by default, and what must not wait in one.
async fn pass_everything(kind: BalancerKind) {
    let deployment = Deployment::start(kind).await;
    let alice = deployment.alice().await;
    let drawing = alice.create_drawing().await;
    let mut socket = Socket::open_with_ticket(&alice.base, &ticket(&alice).await).await.unwrap();
    socket.subscribe(&drawing, Some(0)).await.unwrap();
    let mut events = Events::open(&alice, &drawing, "?after=0", &[]).await;
    events.next_of("subscribed").await;
    let polling = {
        let (alice, path) = (alice.clone(), format!("/v1/drawings/{drawing}/ops?after=0&wait=30"));
        tokio::spawn(async move { alice.get(&path).await })
    };
    // One request just below what a node takes.
    let large = |bytes: usize| {
        let data = "x".repeat(bytes / 20);
        let op = |_| json!({"op_id": new_id(), "type": "custom.large", "data": data});
        (0..20).map(op).collect::<Vec<_>>()
    };
    alice.commit(&drawing, &large(1_040_000)).await.expect(200);
    assert_eq!(revisions(&socket.receive_ops().await.unwrap())[0], 1);
    assert_eq!(events.next_of("ops").await.data["ops"][0]["revision"], 1);
    assert_eq!(polling.await.unwrap().expect(200).json()["from"], 1);
    alice.commit(&drawing, &large(1_200_000)).await.expect_problem(413, "too_large");
}

async fn ticket(client: &Client) -> String {
    let answer = client.call(Method::POST, "/v1/tickets", None).await.expect(200);
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_passes_everything() {
    pass_everything(BalancerKind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_passes_everything() {
    pass_everything(BalancerKind::Haproxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_passes_everything() {
    pass_everything(BalancerKind::Caddy).await;
}
