//! One process at a time serves an SQLite file.

use std::{fs, path::Path, process::Stdio};

use loadtest::services::{Revcast, TempFolder};
use tokio::process::Command;

use crate::support::{App, eventually, program, within};

/// A folder with the file of a database that is being served.
struct Served {
    folder: TempFolder,
    server: Revcast,
}

impl Served {
    fn start() -> Self {
        let folder = TempFolder::new("lock").unwrap();
        let url = format!("sqlite://{}/revcast.db", folder.path().display());
        let server = Revcast::start(program::binary(), &["--dev", "--database-url", &url]).unwrap();
        Self { folder, server }
    }

    fn file(&self) -> String {
        self.folder.path().canonicalize().unwrap().join("revcast.db").display().to_string()
    }

    /// The words of a second server that is to serve this path, from a working directory beside the file.
    async fn refusal(&self, path: &str) -> String {
        let mut command = Command::new(program::binary());
        command.args([
            "serve",
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            &format!("sqlite://{path}"),
        ]);
        command.current_dir(self.folder.path()).stderr(Stdio::piped()).kill_on_drop(true);
        let ended = within("it is refused", command.output()).await.unwrap();
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stderr).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_file_is_told_who_has_it() {
    let served = Served::start();
    let file = served.file();
    let link = served.folder.path().join("link.db");
    std::os::unix::fs::symlink(&file, link).unwrap();
    let roundabout = format!("../{}/revcast.db", served.folder.path().file_name().unwrap().display());
    for path in [&*file, "revcast.db", "./revcast.db", "link.db", &roundabout] {
        let refusal = served.refusal(path).await;
        assert!(refusal.contains(&file), "{path}: {refusal}");
        assert!(refusal.contains(&format!("process {}", served.server.pid())), "{path}: {refusal}");
    }
    // Another name of the file would have a write-ahead log of its own.
    fs::hard_link(&file, served.folder.path().join("hard.db")).unwrap();
    let refusal = served.refusal("hard.db").await;
    assert!(refusal.contains("hard.db has 2 names"), "{refusal}");
    // The first one goes on.
    assert!(reqwest::get(format!("{}/readyz", served.server.base)).await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_free_again_however_its_server_ended() {
    let mut served = Served::start();
    let url = format!("sqlite://{}", served.file());
    let start = || Revcast::start(Path::new(program::binary()), &["--dev", "--database-url", &url]);
    served.server.kill().unwrap();
    served.server = start().unwrap();
    served.server.terminate().unwrap();
    // In a process that lives on, too.
    let mut app = App::start(&url, &[]).await;
    assert!(served.refusal(&served.file()).await.contains(&format!("process {}", std::process::id())));
    app.stop();
    within("it stops", app.stopped()).await;
    eventually("the next one starts", || async { start().ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_end_work_beside_a_server() {
    let served = Served::start();
    let url = format!("sqlite://{}", served.file());
    for command in ["migrate", "new-epoch"] {
        let run = program::run(&[command, "--database-url", &url]).await;
        assert!(run.succeeded, "{run:?}");
    }
}
