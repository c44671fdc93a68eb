//! The limit of fan-out: one thread writes the same bytes to all sockets, another reads them.
//!
//! Nothing is ordered, encoded or looked up. As with the service, the writer is a process of its own,
//! and the readers are a swarm in the bench.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

use super::report::{CpuMeter, Measured};
use crate::{
    services::{self, cpu_seconds},
    swarm::{
        Plan, Swarm, as_f64,
        frame::{self, TEXT},
    },
};

/// The hidden command of the bench that is the writer.
pub const COMMAND: &str = "bare";

/// The way in which the writer is held back.
#[derive(Clone, Copy, Debug)]
pub enum Window {
    /// By full sockets alone.
    Open,
    /// A round begins when all readers have the one so many rounds before.
    Rounds(u32),
}

/// Frames a second that all readers together get, each frame with `payload` bytes.
pub async fn measure(
    readers: usize,
    payload: usize,
    window: Window,
    seconds: u64,
) -> anyhow::Result<Measured> {
    let mut writer = Writer::start(readers, payload, window)?;
    let mut swarm = Swarm::start(Plan::bare(writer.address, readers))?;
    swarm.ready().await?.check()?;
    let (server_cpu, nothing) = (|| cpu_seconds(writer.child.id()), || 0.0);
    let meter = CpuMeter::start(&server_cpu, &nothing);
    let rate = {
        let stdin = writer.stdin.as_mut().context("the writer has no input")?;
        tokio::select! {
            rate = deliveries(&swarm, seconds) => rate,
            acknowledged = acknowledge(&swarm, stdin) => bail!("the writer has ended: {acknowledged:?}"),
        }
    };
    let measured = Measured { rate: rate.frames, cores: meter.stop() };
    swarm.stop().await?.started.check()?;
    Ok(measured)
}

/// The deliveries to a swarm in each second.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Frames with ops, of all readers together.
    pub frames: f64,
    /// Ops in them.
    pub ops: f64,
}

/// Counts for `seconds`, after a second of warming up.
pub async fn deliveries(swarm: &Swarm, seconds: u64) -> Rate {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counts = swarm.counts();
    let (frames, ops, started) = (counts.frames(), counts.ops(), tokio::time::Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let elapsed = started.elapsed().as_secs_f64();
    Rate { frames: as_f64(counts.frames() - frames) / elapsed, ops: as_f64(counts.ops() - ops) / elapsed }
}

/// Tells the writer of each round that all readers have.
async fn acknowledge(swarm: &Swarm, stdin: &mut ChildStdin) -> anyhow::Result<()> {
    let mut floor = swarm.floor();
    let mut told = 0;
    loop {
        floor.changed().await?;
        let done = *floor.borrow_and_update();
        let news = usize::try_from(done - told)?;
        // A few bytes into a pipe that the writer empties at once.
        stdin.write_all(&vec![b'.'; news])?;
        told = done;
    }
}

/// The process that writes; it ends with this handle.
#[derive(Debug)]
struct Writer {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl Writer {
    fn start(readers: usize, payload: usize, window: Window) -> anyhow::Result<Self> {
        let rounds = match window {
            Window::Open => 0,
            Window::Rounds(rounds) => rounds,
        };
        let (readers, payload, rounds) = (readers.to_string(), payload.to_string(), rounds.to_string());
        let mut child = services::spawn_this(&[COMMAND, &readers, &payload, &rounds])?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the writer has no output")?).read_line(&mut line)?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, address: line.trim().parse().context("the writer has no address")? })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the writer: `<readers> <bytes of payload> <rounds in flight, 0 = any number>`.
pub fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [readers, payload, rounds] = arguments else { bail!("three numbers are wanted") };
    let (readers, payload): (usize, usize) = (readers.parse()?, payload.parse()?);
    let rounds: u64 = rounds.parse()?;
    let frame = frame::unmasked(TEXT, &vec![b'x'; payload]);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let mut streams = Vec::with_capacity(readers);
    for _ in 0..readers {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // The first frame says that the socket is served; rounds begin when all are.
        stream.write_all(&frame)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let acknowledged = count_acknowledged();
    for round in 0_u64.. {
        if rounds > 0 {
            acknowledged.wait_for((round + 1).saturating_sub(rounds));
        }
        for stream in &mut streams {
            if write_whole(stream, &frame).is_err() {
                // The readers have gone.
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Writes a frame; while the socket is full others may run.
fn write_whole(stream: &mut TcpStream, mut frame: &[u8]) -> std::io::Result<()> {
    while !frame.is_empty() {
        match stream.write(frame) {
            Ok(written) => frame = &frame[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Rounds that all readers have.
#[derive(Debug, Default)]
struct Acknowledged {
    rounds: Mutex<u64>,
    more: Condvar,
}

impl Acknowledged {
    fn wait_for(&self, rounds: u64) {
        let mut known = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        while *known < rounds {
            known = self.more.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Counts the bytes of the standard input; its end is the end of the process.
fn count_acknowledged() -> Arc<Acknowledged> {
    let acknowledged = Arc::new(Acknowledged::default());
    let counter = acknowledged.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = std::io::stdin().read(&mut buffer) {
            *counter.rounds.lock().unwrap_or_else(PoisonError::into_inner) += read as u64;
            counter.more.notify_one();
        }
        std::process::exit(0);
    });
    acknowledged
}
