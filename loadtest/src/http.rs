//! An HTTP/1.1 client that costs next to nothing: one connection, one request at a time, no
//! headers looked at but the length. For measuring; everything else uses a real client.

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
    host: String,
    token: String,
}

impl Connection {
    /// Connects to `http://host:port` as the bearer of `token`.
    pub async fn open(base: &str, token: &str) -> anyhow::Result<Self> {
        let host = base.strip_prefix("http://").context("the base must begin with http://")?.to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), request: Vec::new(), host, token: token.to_owned() })
    }

    /// Posts JSON; returns the status. The body stays in the buffer.
    pub async fn post(&mut self, path: &str, body: &[u8]) -> anyhow::Result<u16> {
        self.request.clear();
        let (host, token, length) = (&self.host, &self.token, body.len());
        self.request.extend_from_slice(
            format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            )
            .as_bytes(),
        );
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.read_response().await
    }

    /// Gets a path; the body stays in the buffer.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<u16> {
        self.get_with(path, "").await
    }

    /// Gets a path; the body, which the server may gzip, stays in the buffer.
    pub async fn get_gzip(&mut self, path: &str) -> anyhow::Result<u16> {
        self.get_with(path, "accept-encoding: gzip\r\n").await
    }

    async fn get_with(&mut self, path: &str, headers: &str) -> anyhow::Result<u16> {
        let (host, token) = (&self.host, &self.token);
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.read_response().await
    }

    /// The body of the last response.
    pub fn body(&self) -> &[u8] {
        let start = head_end(&self.buffer).unwrap_or(self.buffer.len());
        &self.buffer[start..]
    }

    /// A header of the last response.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.buffer[..head_end(&self.buffer)?]).ok()?;
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    async fn read_response(&mut self) -> anyhow::Result<u16> {
        self.buffer.clear();
        let head = loop {
            if let Some(end) = head_end(&self.buffer) {
                break end;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(Ok(0), str::parse::<usize>)?;
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        Ok(status)
    }
}

fn head_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}
