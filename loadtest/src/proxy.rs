//! A TCP proxy that can be cut, to try outages.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Passes everything on.
    Open,
    /// Breaks connections and refuses new ones.
    Cut,
    /// Takes connections and passes nothing on.
    Held,
}

/// Passes connections on to one address until it is cut.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    mode: Arc<watch::Sender<Mode>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of `127.0.0.1:port`.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own_port = listener.local_addr()?.port();
        let mode = Arc::new(watch::Sender::new(Mode::Open));
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let task = tokio::spawn(accept(listener, target, mode.clone()));
        Ok(Self { port: own_port, mode, task })
    }

    /// Breaks all connections and refuses new ones.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Goes silent: takes connections and answers nothing, as a peer does that hangs. Those that are open break when
    /// that ends, and those that came meanwhile are passed on.
    pub fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// Passes connections on again.
    pub fn restore(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: Arc<watch::Sender<Mode>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut mode = mode.subscribe();
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        tokio::spawn(async move {
            let mut client = client;
            if !is_open_at_last(&mut mode).await {
                return;
            }
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            tokio::select! {
                // Either side may break off; that is what the proxy is for.
                _ = copy_bidirectional(&mut client, &mut server) => (),
                _ = mode.wait_for(|mode| *mode != Mode::Open) => (),
            }
            is_open_at_last(&mut mode).await;
        });
    }
}

/// Waits for as long as the proxy is silent; whether it is open then.
async fn is_open_at_last(mode: &mut watch::Receiver<Mode>) -> bool {
    mode.wait_for(|mode| *mode != Mode::Held).await.is_ok_and(|mode| *mode == Mode::Open)
}
