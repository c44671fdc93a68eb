//! A server in this process.

use clap::Parser;
use futures_util::stream;
use loadtest::services::{LIFTED_LIMITS, TempFolder, blob_url_beside};
use revcast::{
    config::{Cli, Command},
    server::{Server, listen},
    store::AppendOutcome,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Client, asyncapi::check_message, nats_url, new_database};
use crate::store::contract::{append_one, connect, folding};

/// A running server; it stops when the handle goes.
pub struct App {
    /// `http://127.0.0.1:port`.
    pub base: String,
    /// `host:port` where it listens for operators alone, if it does.
    pub admin: Option<String>,
    /// The database it runs on, for a second server beside it.
    pub database_url: String,
    /// Stops the server when it goes.
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: Option<TempFolder>,
}

impl App {
    /// Starts one on an SQLite file of its own, with the bus inside the process.
    pub async fn sqlite() -> Self {
        Self::sqlite_with(&[]).await
    }

    /// Starts one on an SQLite file of its own, with these flags besides `--dev`.
    pub async fn sqlite_with(flags: &[&str]) -> Self {
        Self::sqlite_without_dev(&[&["--dev"], flags].concat()).await
    }

    /// Starts one on an SQLite file of its own, with these flags alone.
    pub async fn sqlite_without_dev(flags: &[&str]) -> Self {
        let folder = TempFolder::new("sqlite").unwrap();
        let url = format!("sqlite://{}/revcast.db", folder.path().display());
        let mut app = Self::start_without_dev(&url, flags).await;
        app._folder = Some(folder);
        app
    }

    /// Starts one on a Postgres database of its own, with the bus inside the process.
    pub async fn postgres() -> Self {
        Self::start(&new_database(), &[]).await
    }

    /// Starts one on a Postgres database of its own and the shared NATS server.
    pub async fn clustered() -> Self {
        Self::start(&new_database(), &["--nats-url", &nats_url()]).await
    }

    /// Another node beside this one, on the same database and NATS server.
    pub async fn second_node(&self) -> Self {
        Self::start(&self.database_url, &["--nats-url", &nats_url()]).await
    }

    /// Starts one with these flags besides `--dev`. Write limits are off, unless the flags set them.
    pub async fn start(database_url: &str, flags: &[&str]) -> Self {
        Self::start_without_dev(database_url, &[&["--dev"], flags].concat()).await
    }

    /// Starts one with these flags alone, save for the write limits.
    async fn start_without_dev(database_url: &str, flags: &[&str]) -> Self {
        loadtest::socket::watch_all(check_message);
        let mut line = vec!["revcast", "serve", "--database-url", database_url];
        if !flags.iter().any(|flag| flag.starts_with("--write-") || flag.starts_with("--drawing-")) {
            line.extend(LIFTED_LIMITS);
        }
        // Servers on one database share their blobs, wherever the flags do not say where those are.
        let blob_url = blob_url_beside(database_url).unwrap();
        if !flags.contains(&"--blob-url") {
            line.extend(["--blob-url", &blob_url]);
        }
        if !flags.contains(&"--drain-notice") {
            line.extend(["--drain-notice", "0s"]);
        }
        line.extend(flags);
        let Command::Serve(args) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
        let server = Server::start(&args).await.unwrap();
        let admin = server.admin_address().map(|address| address.to_string());
        let listener = listen("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            server.run(listener, stream::once(async { drop(stopped.await) })).await.unwrap();
        });
        Self { base, admin, database_url: database_url.to_owned(), stop: Some(stop), served, _folder: None }
    }

    /// Asks the server to stop.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until it has stopped.
    pub async fn stopped(&mut self) {
        (&mut self.served).await.unwrap();
    }

    /// Folds a drawing whose floor is `from` up to `floor`, as the server does by itself only where very much is open;
    /// returns the revision of the fold.
    pub async fn fold(&self, drawing: &str, from: u64, floor: u64) -> u64 {
        let store = connect(&self.database_url).await;
        match append_one(&*store, folding(drawing.parse().unwrap(), from, floor)).await {
            AppendOutcome::Accepted { ops, .. } => ops[0].revision().0,
            AppendOutcome::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    /// A client with a token for `user`.
    pub async fn client(&self, user: &str) -> Client {
        Client::new(&self.base, user).await
    }
}
