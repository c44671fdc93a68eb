//! The program: reads the command line and hands over.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use futures_util::{Stream, StreamExt, stream};
use revcast::{
    audit::{self, Act, Actor},
    config::{Cli, Command, DEFAULT_BLOB_URL, FindingFormat, ImportArgs, ServeArgs, TokenArgs, VerifyArgs},
    identity::sign_token,
    import::Import,
    model::DrawingId,
    reference,
    server::{Server, listen, open_store, open_store_to_read, openapi_document},
    snapshot::{BlobUrl, Blobs},
    telemetry::{self, LogFormat, LogOutput},
    trace,
    verify::{Finding, Summary, Verifier},
    wire::asyncapi_yaml,
};
use tokio::io::{AsyncRead, BufReader};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `verify` has found something.
const FOUND: ExitCode = ExitCode::FAILURE;
/// `verify` could not find out.
const UNCHECKED: u8 = 2;
/// The command line is malformed.
const MALFORMED: u8 = 2;

fn main() -> ExitCode {
    // Several crates bring TLS; they are to agree on one implementation.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let command = match Cli::try_parse() {
        Ok(Cli { command }) => command,
        Err(error) if error.use_stderr() => return refuse(&error),
        // Help, or the version.
        Err(asked_for) => asked_for.exit(),
    };
    // Everything that is said from here on is a line of the log.
    let format = init_logs(&command);
    telemetry::log_panics();
    match run_to_completion(command) {
        Ok(code) => code,
        Err(error) => {
            telemetry::report_fatal(&error, format);
            ExitCode::FAILURE
        }
    }
}

/// Says in one sentence what is wrong with the command line.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let sentence: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    eprintln!("{} (see --help)", sentence.join(" "));
    ExitCode::from(MALFORMED)
}

/// Returns the format of the log.
fn init_logs(command: &Command) -> LogFormat {
    let (store, output) = match command {
        Command::Serve(args) => (&args.store, LogOutput::Stdout),
        // Standard output is for the result.
        Command::Migrate(store) | Command::NewEpoch(store) => (store, LogOutput::Stderr),
        Command::Import(args) => (&args.store, LogOutput::Stderr),
        Command::Verify(args) => (&args.store, LogOutput::Stderr),
        Command::Token(_) | Command::Openapi | Command::Asyncapi | Command::Reference => {
            telemetry::init_logs(LogFormat::Pretty, telemetry::LOG_FILTER, LogOutput::Stderr);
            return LogFormat::Pretty;
        }
    };
    telemetry::init_logs(store.log_format, &store.log, output);
    store.log_format
}

fn run_to_completion(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(command));
    // Work that still runs on threads of its own, such as a picture that nobody waits for any more, is not
    // waited for.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Verify(args) => return Ok(verify_or_tell(&args).await),
        Command::Serve(args) => serve(&args).await,
        Command::Token(args) => print_line(&token(&args)?),
        Command::Openapi => print_line(&openapi_document().to_pretty_json()?),
        Command::Asyncapi => print_line(asyncapi_yaml()?.trim_end()),
        Command::Reference => print_line(reference::markdown().trim_end()),
        Command::Migrate(args) => {
            let store = open_store(&args).await?;
            store.close().await;
            Ok(())
        }
        Command::Import(args) => import(&args).await,
        Command::NewEpoch(args) => {
            let store = open_store(&args).await?;
            let epoch = store.new_epoch().await?;
            audit::record(&Actor::Operator, None, &Act::EpochBegun { epoch });
            store.close().await;
            print_line(&epoch.to_string())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    args.check()?;
    if let Some(name) = &args.node_name {
        trace::name_node(name);
    }
    let listener = listen(&args.listen).await?;
    let address = listener.local_addr()?;
    let server = Server::start(args).await?;
    // Whoever reads the logs as JSON is no person, and no line of theirs may have a token.
    if args.dev && args.store.log_format == LogFormat::Pretty {
        print_first_steps(address, &server)?;
    }
    if let Some(address) = server.admin_address() {
        tracing::info!(%address, "listening for operators");
    }
    tracing::info!(%address, node = trace::node(), "listening");
    server.run(listener, stop_signals()).await
}

async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let log: Box<dyn AsyncRead + Unpin> = if args.file.as_os_str() == "-" {
        Box::new(tokio::io::stdin())
    } else {
        let file = tokio::fs::File::open(&args.file).await;
        Box::new(file.with_context(|| format!("opening {}", args.file.display()))?)
    };
    let store = open_store(&args.store).await?;
    let drawing_id = args.drawing_id.unwrap_or_else(|| DrawingId(Uuid::now_v7()));
    let import = Import { drawing_id, title: args.title.clone(), owner: args.owner.clone() };
    let outcome = import.run(&*store, BufReader::new(log)).await;
    store.close().await;
    let act = Act::DrawingImported { owner: args.owner.clone(), head: outcome? };
    audit::record(&Actor::Operator, Some(drawing_id), &act);
    print_line(&drawing_id.to_string())
}

/// Verifies, and tells why that was not possible.
async fn verify_or_tell(args: &VerifyArgs) -> ExitCode {
    match verify(args).await {
        Ok(Summary { findings: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => FOUND,
        Err(error) => {
            telemetry::report_fatal(&error, args.store.log_format);
            ExitCode::from(UNCHECKED)
        }
    }
}

async fn verify(args: &VerifyArgs) -> anyhow::Result<Summary> {
    let store = open_store_to_read(&args.store)?;
    let blobs = if args.skip_snapshots { None } else { Some(blobs_to_read(args)?) };
    let mut tell = |finding: &Finding| -> io::Result<()> {
        match args.format {
            FindingFormat::Json => writeln!(io::stdout(), "{}", serde_json::to_string(finding)?),
            FindingFormat::Text => writeln!(io::stdout(), "{finding}"),
        }
    };
    let outcome = Verifier::new(&*store, blobs.as_ref()).run(args.drawing_id, &mut tell).await;
    store.close().await;
    let summary = outcome?;
    match args.format {
        FindingFormat::Json => print_line(&serde_json::json!({ "summary": summary }).to_string())?,
        FindingFormat::Text => print_line(&summary.to_string())?,
    }
    Ok(summary)
}

/// The blobs of snapshots, from a folder only if it is there: none is made.
fn blobs_to_read(args: &VerifyArgs) -> anyhow::Result<Blobs> {
    if let BlobUrl::Folder(folder) = args.blob_url.parse()? {
        anyhow::ensure!(
            folder.is_dir(),
            "there is no folder {}: give --blob-url, or --skip-snapshots",
            folder.display()
        );
    }
    let blobs = Blobs::open(&args.blob_url).context("opening the blob store")?;
    let is_sure = args.store.is_sqlite() || args.blob_url != DEFAULT_BLOB_URL;
    Ok(if is_sure { blobs } else { blobs.perhaps_local() })
}

/// Prints the address to open in a browser, and three lines to paste into a shell.
fn print_first_steps(mut address: SocketAddr, server: &Server) -> anyhow::Result<()> {
    // Not every browser opens the address that stands for all.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let base = format!("http://{address}");
    let token = server.dev_token(&"guest".parse()?)?;
    let drawing = Uuid::now_v7();
    let op = Uuid::now_v7();
    let auth = format!("-H 'Authorization: Bearer {token}'");
    let json = "-H 'Content-Type: application/json'";
    let stroke = format!(
        r#"{{"op_id":"{op}","type":"stroke.begin","object_id":"s1","tool":"pen","props":{{}},"points":[[0,0],[10,10]]}}"#
    );
    print_line(&format!(
        "\nThe whiteboard: {base}/\nThe reference of all endpoints: {base}/docs\n\n\
         Create a drawing, commit an op, read it back:\n\n\
         curl -X POST {base}/v1/drawings {auth} {json} -d '{{\"drawing_id\":\"{drawing}\"}}'\n\
         curl -X POST {base}/v1/drawings/{drawing}/ops {auth} {json} -d '{{\"ops\":[{stroke}]}}'\n\
         curl '{base}/v1/drawings/{drawing}/ops?after=0' {auth}\n"
    ))
}

fn token(args: &TokenArgs) -> anyhow::Result<String> {
    let identity = &args.identity;
    identity.check()?;
    let secret = identity.jwt_secret.as_ref().context("no secret is configured: give --jwt-secret")?;
    let (issuer, audience) = (identity.jwt_issuer.as_deref(), identity.jwt_audience.as_deref());
    Ok(sign_token(secret, &args.sub, args.name.as_deref(), args.ttl, issuer, audience)?)
}

fn print_line(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

/// Yields each time the process is asked to stop.
fn stop_signals() -> impl Stream<Item = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let of_kind = |kind: SignalKind, name: &'static str| match signal(kind) {
        Ok(signal) => stream::unfold(signal, async |mut signal| Some((signal.recv().await?, signal))).boxed(),
        Err(error) => {
            tracing::error!(%error, "{name} cannot be waited for");
            stream::pending().boxed()
        }
    };
    stream::select(of_kind(SignalKind::interrupt(), "SIGINT"), of_kind(SignalKind::terminate(), "SIGTERM"))
}
