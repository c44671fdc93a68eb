//! A TCP proxy that can be cut, to try outages, led elsewhere, to try failovers, and made bad, to try networks that are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::pump::pass_both_ways;

/// The way in which the proxy treats connections.
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

/// The quality of the link while the proxy passes bytes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The time by which each byte comes later.
    pub delay: Duration,
    /// The bytes a second that pass in each direction of a connection; any number where there is none.
    pub bytes_per_second: Option<u32>,
    /// The direction in which nothing comes, of which nobody is told: the connection is half open. Bytes that were
    /// sent meanwhile come when that ends, as they do when packets are sent again.
    pub stalled: Option<Way>,
}

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the one who has connected.
    ToServer,
    /// To the one who has connected.
    ToClient,
}

/// The mode of the proxy, and the address that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    mode: Mode,
    target: SocketAddr,
    /// The number of times that all connections were reset.
    resets: u64,
}

/// Passes connections on to one address until it is cut.
#[derive(Debug)]
pub struct Proxy {
    /// The port that it listens on.
    pub port: u16,
    route: Arc<watch::Sender<Route>>,
    shape: Arc<watch::Sender<Shape>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of `127.0.0.1:port`.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own_port = listener.local_addr()?.port();
        let route = Route { mode: Mode::Open, target: loopback(port), resets: 0 };
        let (route, shape) =
            (Arc::new(watch::Sender::new(route)), Arc::new(watch::Sender::new(Shape::default())));
        let task = tokio::spawn(accept(listener, route.clone(), shape.clone()));
        Ok(Self { port: own_port, route, shape, task })
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

    /// Breaks all connections by a reset, and takes new ones.
    pub fn reset(&self) {
        self.route.send_modify(|route| route.resets += 1);
    }

    /// Passes everything on in this way from now on, also on connections that are open.
    pub fn shape(&self, shape: Shape) {
        self.shape.send_replace(shape);
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

async fn accept(listener: TcpListener, route: Arc<watch::Sender<Route>>, shape: Arc<watch::Sender<Shape>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (mut route, shape) = (route.subscribe(), shape.subscribe());
        if route.borrow().mode == Mode::Cut {
            continue;
        }
        tokio::spawn(async move {
            let mut client = client;
            let Some(Route { target, resets, .. }) = open_at_last(&mut route).await else { return };
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            // A proxy that holds small pieces back would be a delay of its own.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let goes_on = |route: &Route| {
                let is_open = matches!(route.mode, Mode::Open | Mode::Moved);
                is_open && route.target == target && route.resets == resets
            };
            tokio::select! {
                // Either side may break off; that is what the proxy is for.
                _ = pass_both_ways(&mut client, &mut server, &shape) => (),
                _ = route.wait_for(|route| !goes_on(route)) => (),
            }
            if route.borrow().resets != resets {
                let _ = (client.set_zero_linger(), server.set_zero_linger());
            }
            // A connection that was silent once stays so.
            let _ = route.wait_for(|route| !matches!(route.mode, Mode::Held | Mode::Moved)).await;
        });
    }
}

/// Waits for as long as the proxy is silent. Returns where it leads then, if it is open.
async fn open_at_last(route: &mut watch::Receiver<Route>) -> Option<Route> {
    let route = route.wait_for(|route| route.mode != Mode::Held).await.ok()?;
    (route.mode != Mode::Cut).then_some(*route)
}
