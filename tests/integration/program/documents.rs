//! The documents: what they tell people to type in a shell works.
//!
//! A block of `sh` is run as it stands, against a server like that of `make run`. One that starts with `sh no-run` is not:
//! it needs services, takes long, or changes the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::support::program::{self, Serving};

/// The address that documents use for a server.
const ADDRESS: &str = "http://127.0.0.1:8080";
/// Folders with documents, besides the root.
const FOLDERS: &[&str] = &["docs", "clients/typescript", "loadtest", "web"];
/// Time for the blocks of one document.
const PATIENCE: Duration = Duration::from_secs(60);
/// Languages of blocks for a shell that are not to be used: `sh` is.
const OTHER_SHELLS: &[&str] = &["bash", "shell", "console", "zsh"];

/// Runs before the blocks. An answer that is an error fails the block, and a stream that never ends is read for a moment,
/// in which it has to bring an op.
const PRELUDE: &str = r#"set -euo pipefail
curl() {
    case "$1" in
        -*N*)
            local events status=0
            events=$(command curl --fail-with-body --max-time 2 "$@") || status=$?
            [[ $status -eq 28 && $events == *'event: ops'* ]] || { echo "$events"; return 1; }
            ;;
        *) command curl --fail-with-body "$@" ;;
    esac
}
"#;

/// A fenced block of a document.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The words after the fence.
    info: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in document.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some(Block { info: info.trim().to_owned(), text: String::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => (),
        }
    }
    assert!(open.is_none(), "a block does not end: {open:?}");
    blocks
}

/// The documents of the repository.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = FOLDERS.iter().map(|folder| root.join(folder)).chain([root.to_owned()]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut documents: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.sort();
    documents
}

/// Runs what a document tells to type, at the server; returns what went wrong.
async fn follow(document: &str, server: &Serving) -> Result<(), String> {
    let runnable: String =
        blocks(document).into_iter().filter(|block| block.info == "sh").map(|block| block.text).collect();
    if runnable.is_empty() {
        return Ok(());
    }
    let path = format!(
        "{}:{}",
        program::binary().parent().expect("a program lies in a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("{PRELUDE}{}", runnable.replace(ADDRESS, &server.base)));
    command.env("PATH", path).current_dir(server.folder()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.map_err(|_| "it takes too long".to_owned())?;
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documents_tell_to_type_works() {
    let server = Serving::start(&[]).await;
    let mut followed = 0;
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        if let Err(failure) = follow(&document, &server).await {
            panic!("{}: {failure}", path.display());
        }
        followed += blocks(&document).iter().filter(|block| block.info == "sh").count();
    }
    assert!(followed >= 5, "{followed} blocks were run");
}

#[test]
fn every_block_for_a_shell_says_that_it_is_one() {
    for path in documents() {
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            let language = block.info.split(' ').next().unwrap_or_default();
            let path = path.display();
            assert!(!OTHER_SHELLS.contains(&language), "{path}: write sh: {block:?}");
            assert!(!block.info.starts_with("sh ") || block.info == "sh no-run", "{path}: {block:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_found() {
    let server = Serving::start(&[]).await;
    let document = |command: &str| format!("Text\n\n```sh\n{command}\n```\n\n```sh no-run\nfalse\n```\n");
    assert_eq!(follow(&document("curl -s http://127.0.0.1:8080/healthz"), &server).await, Ok(()));
    for wrong in
        ["curl -s http://127.0.0.1:8080/nowhere", "curl -sN http://127.0.0.1:8080/healthz", "false\ntrue"]
    {
        assert!(follow(&document(wrong), &server).await.is_err(), "{wrong}");
    }
}
