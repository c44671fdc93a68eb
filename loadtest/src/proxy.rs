//! A TCP proxy that can be cut, to try outages, and led elsewhere, to try failovers.

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
    /// Passes on those that come, and leaves those silent that were so before.
    Moved,
}

/// What the proxy does, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    mode: Mode,
    target: SocketAddr,
}

/// Passes connections on to one address until it is cut.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    route: Arc<watch::Sender<Route>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of `127.0.0.1:port`.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own_port = listener.local_addr()?.port();
        let route = Arc::new(watch::Sender::new(Route { mode: Mode::Open, target: loopback(port) }));
        let task = tokio::spawn(accept(listener, route.clone()));
        Ok(Self { port: own_port, route, task })
    }

    /// Breaks all connections and refuses new ones.
    pub fn cut(&self) {
        self.set_mode(Mode::Cut);
    }

    /// Goes silent: takes connections and answers nothing, as a peer does that hangs. Those that are open break when
    /// that ends, and those that came meanwhile are passed on.
    pub fn hold(&self) {
        self.set_mode(Mode::Held);
    }

    /// Passes new connections on, after [`hold`](Self::hold), and leaves those silent that are open: as if the address
    /// had moved to another machine.
    pub fn serve_new(&self) {
        self.set_mode(Mode::Moved);
    }

    /// Passes connections on again.
    pub fn restore(&self) {
        self.set_mode(Mode::Open);
    }

    /// Passes new connections on to `127.0.0.1:port`, and breaks those that are open.
    pub fn redirect(&self, port: u16) {
        self.route.send_modify(|route| route.target = loopback(port));
    }

    fn set_mode(&self, mode: Mode) {
        self.route.send_modify(|route| route.mode = mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn accept(listener: TcpListener, route: Arc<watch::Sender<Route>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut route = route.subscribe();
        if route.borrow().mode == Mode::Cut {
            continue;
        }
        tokio::spawn(async move {
            let mut client = client;
            let Some(target) = open_at_last(&mut route).await else { return };
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            let goes_on =
                |route: &Route| matches!(route.mode, Mode::Open | Mode::Moved) && route.target == target;
            tokio::select! {
                // Either side may break off; that is what the proxy is for.
                _ = copy_bidirectional(&mut client, &mut server) => (),
                _ = route.wait_for(|route| !goes_on(route)) => (),
            }
            // What was silent once stays so.
            let _ = route.wait_for(|route| !matches!(route.mode, Mode::Held | Mode::Moved)).await;
        });
    }
}

/// Waits for as long as the proxy is silent. Returns where it leads then, if it is open.
async fn open_at_last(route: &mut watch::Receiver<Route>) -> Option<SocketAddr> {
    let route = route.wait_for(|route| route.mode != Mode::Held).await.ok()?;
    (route.mode != Mode::Cut).then_some(route.target)
}
