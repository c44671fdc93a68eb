//! Figures that a server and the kernel tell about themselves.

use std::{collections::HashMap, fs};

use anyhow::{Context, ensure};

use crate::http::Connection;

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident.
    pub rss: u64,
    /// The part that is no file: heap and stacks.
    pub anonymous: u64,
}

impl Memory {
    /// Returns the memory of a process as it is now.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).context("no memory told")?;
            Ok(value.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self { rss: field("VmRSS:")?, anonymous: field("RssAnon:")? })
    }
}

/// Counters of what goes wrong while connections are made. They are those of the whole machine.
#[derive(Clone, Debug)]
pub struct TcpTrouble(HashMap<String, u64>);

/// The counters, by file. An accept queue that is full, a SYN dropped for it, a SYN queue that is
/// full, a SYN sent again, any segment sent again.
const TROUBLES: [&str; 5] = [
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPSynRetrans",
    "Tcp.RetransSegs",
];

impl TcpTrouble {
    /// Returns the counters as they are now.
    pub fn now() -> anyhow::Result<Self> {
        let mut counters = HashMap::new();
        for file in ["/proc/net/netstat", "/proc/net/snmp"] {
            let text = fs::read_to_string(file)?;
            let lines: Vec<&str> = text.lines().collect();
            // Lines come in pairs: names, then values, both after the name of their group.
            for pair in lines.chunks_exact(2) {
                let (names, values) = (pair[0].split_whitespace(), pair[1].split_whitespace());
                let group = pair[0].split(':').next().unwrap_or_default();
                for (name, value) in names.zip(values).skip(1) {
                    // The one value below zero is a setting.
                    counters.insert(format!("{group}.{name}"), value.parse().unwrap_or(0));
                }
            }
        }
        Ok(Self(counters))
    }

    /// The counts that were added since `before`, by name.
    pub fn since(&self, before: &Self) -> Vec<(&'static str, u64)> {
        let count = |counters: &HashMap<String, u64>, name: &str| counters.get(name).copied().unwrap_or(0);
        TROUBLES
            .iter()
            .map(|name| {
                let short = name.split_once('.').map_or(*name, |(_, short)| short);
                (short, count(&self.0, name).saturating_sub(count(&before.0, name)))
            })
            .collect()
    }
}

/// A counter of `/metrics`; nothing when the server does not have it.
pub async fn counter(base: &str, name: &str) -> anyhow::Result<Option<u64>> {
    let mut connection = Connection::open(base, "").await?;
    let status = connection.get("/metrics").await?;
    ensure!(status == 200, "status {status}");
    let text = std::str::from_utf8(connection.body())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map(str::parse).transpose()?)
}
