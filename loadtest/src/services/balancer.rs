//! A load balancer in front of nodes: nginx, HAProxy or Caddy, with a file of `deploy/`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

use super::{
    TempFolder, command, free_port, run, spawn, unprivileged_user, wait_or_kill, wait_until_listening,
};

/// The addresses of the nodes in the files of `deploy/`.
const NODES: [&str; 2] = ["10.0.0.1:8080", "10.0.0.2:8080"];

/// The program that balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalancerKind {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Caddy.
    Caddy,
}

/// A balancer of its own, as a user without rights.
#[derive(Debug)]
pub struct Balancer {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub base: String,
    _folder: TempFolder,
}

impl BalancerKind {
    /// Its file in `deploy/`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Caddy => "Caddyfile",
        }
    }

    fn program(self) -> PathBuf {
        let (name, places) = match self {
            Self::Nginx => ("nginx", ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]),
            Self::Haproxy => ("haproxy", ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]),
            Self::Caddy => ("caddy", ["/usr/bin/caddy", "/usr/local/bin/caddy"]),
        };
        places.iter().find(|place| Path::new(place).exists()).copied().unwrap_or(name).into()
    }

    /// The arguments that run it with a file in a folder of its own; with `checks` it only looks at the file.
    fn arguments(self, folder: &Path, file: &Path, checks: bool) -> Vec<String> {
        let (folder, file) = (folder.display(), file.display().to_string());
        let arguments: Vec<String> = match (self, checks) {
            (Self::Nginx, checks) => {
                let settings = format!("daemon off; pid {folder}/pid; error_log stderr;");
                let mut arguments = vec!["-p".into(), folder.to_string(), "-e".into(), "stderr".into()];
                arguments.extend(["-g".into(), settings, "-c".into(), file]);
                arguments.extend(checks.then(|| "-t".to_owned()));
                arguments
            }
            (Self::Haproxy, true) => vec!["-c".into(), "-f".into(), file],
            (Self::Haproxy, false) => vec!["-db".into(), "-f".into(), file],
            (Self::Caddy, checks) => {
                let verb = if checks { "validate" } else { "run" };
                vec![verb.into(), "--adapter".into(), "caddyfile".into(), "--config".into(), file]
            }
        };
        arguments
    }

    /// The file with other addresses, and with the places that an unprivileged process may write to.
    fn rewrite(self, text: &str, folder: &Path, port: u16, nodes: [&str; 2]) -> anyhow::Result<String> {
        let mut text = text.to_owned();
        let (from, to) = match self {
            Self::Nginx => ("listen 80;", format!("listen 127.0.0.1:{port};")),
            Self::Haproxy => ("bind :80\n", format!("bind 127.0.0.1:{port}\n")),
            Self::Caddy => ("http://:80 {", format!("http://127.0.0.1:{port} {{")),
        };
        let mut changes = vec![(from, to)];
        changes.extend(NODES.into_iter().zip(nodes.map(str::to_owned)));
        if self == Self::Nginx {
            let folder = folder.display();
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|what| format!("{what}_temp_path {folder}/{what};\n"));
            changes.push(("http {\n", format!("http {{\n{}", temporary.concat())));
            changes.push(("/var/log/nginx/access.log", format!("{folder}/access.log")));
        }
        for (from, to) in changes {
            ensure!(text.contains(from), "{} has no {from:?}", self.file());
            text = text.replace(from, &to);
        }
        Ok(text)
    }
}

impl Balancer {
    /// Starts it with its file of `deploy/`, in front of these two nodes (`host:port`). Its own check of the file has to
    /// find nothing wrong.
    pub fn start(kind: BalancerKind, deploy: &Path, nodes: [&str; 2]) -> anyhow::Result<Self> {
        let text = fs::read_to_string(deploy.join(kind.file()))?;
        Self::start_with(kind, &text, nodes)
    }

    /// The same with the text of such a file.
    pub fn start_with(kind: BalancerKind, text: &str, nodes: [&str; 2]) -> anyhow::Result<Self> {
        let (folder, port) = (TempFolder::new("balancer")?, free_port()?);
        // Whoever it runs as writes there.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let file = folder.path().join(kind.file());
        fs::write(&file, kind.rewrite(text, folder.path(), port, nodes)?)?;
        let user = unprivileged_user()?;
        let prepared = |checks| {
            let mut balancer = command(&kind.program(), "KILL", user.as_ref());
            balancer.args(kind.arguments(folder.path(), &file, checks)).current_dir(folder.path());
            balancer.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
            balancer
        };
        run(&mut prepared(true))
            .context("the balancer refuses its file, or is not installed: run make setup")?;
        let mut balancer: Command = prepared(false);
        balancer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(balancer)?;
        wait_until_listening(port, &mut child, kind.file())?;
        Ok(Self { child, base: format!("http://127.0.0.1:{port}"), _folder: folder })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // SIGTERM, so that nginx ends its workers too.
        let _ = super::signal(&self.child, "TERM");
        let _ = wait_or_kill(&mut self.child);
    }
}
