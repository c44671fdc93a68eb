//! The program: reads the command line and hands over.

use std::{io::Write, sync::Arc};

use anyhow::Context;
use clap::Parser;
use revcast::{
    config::{Cli, Command, ImportArgs, ServeArgs, StoreArgs, TokenArgs},
    gateway::asyncapi_yaml,
    identity::sign_token,
    import::Import,
    model::DrawingId,
    server::{Server, listen, open_store, openapi_document},
    store::Store,
    telemetry::{self, LogFormat, LogOutput},
};
use tokio::io::{AsyncRead, BufReader};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    // Several crates bring TLS; they are to agree on one implementation.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(cli.command));
    // What was left running on threads of its own, such as a picture nobody waits for any more, is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve(&args).await,
        Command::Token(args) => print_line(&token(&args)?),
        Command::Openapi => print_line(&openapi_document().to_pretty_json()?),
        Command::Asyncapi => print_line(asyncapi_yaml()?.trim_end()),
        Command::Migrate(args) => {
            let store = open(&args).await?;
            store.close().await;
            Ok(())
        }
        Command::Import(args) => import(&args).await,
        Command::NewEpoch(args) => {
            let store = open(&args).await?;
            let epoch = store.new_epoch().await?;
            store.close().await;
            print_line(&epoch.to_string())
        }
    }
}

/// Opens the store for a command that prints a result and ends.
async fn open(args: &StoreArgs) -> anyhow::Result<Arc<dyn Store>> {
    telemetry::init_logs(args.log_format, &args.log, LogOutput::Stderr);
    open_store(args).await
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    args.check()?;
    telemetry::init_logs(args.store.log_format, &args.store.log, LogOutput::Stdout);
    let listener = listen(&args.listen).await?;
    let address = listener.local_addr()?;
    let server = Server::start(args).await?;
    tracing::info!(%address, "listening");
    // Whoever reads the logs as JSON is no person, and no line of theirs may have a token.
    if args.dev && args.store.log_format == LogFormat::Pretty {
        print_first_steps(&format!("http://{address}"), &server)?;
    }
    server.run(listener, stop_signal()).await
}

async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let log: Box<dyn AsyncRead + Unpin> = if args.file.as_os_str() == "-" {
        Box::new(tokio::io::stdin())
    } else {
        let file = tokio::fs::File::open(&args.file).await;
        Box::new(file.with_context(|| format!("opening {}", args.file.display()))?)
    };
    let store = open(&args.store).await?;
    let drawing_id = args.drawing_id.unwrap_or_else(|| DrawingId(Uuid::now_v7()));
    let import = Import { drawing_id, title: args.title.clone(), owner: args.owner.clone() };
    let outcome = import.run(&*store, BufReader::new(log)).await;
    store.close().await;
    outcome?;
    print_line(&drawing_id.to_string())
}

/// Three lines to paste into a shell.
fn print_first_steps(base: &str, server: &Server) -> anyhow::Result<()> {
    let token = server.dev_token(&"guest".parse()?)?;
    let drawing = Uuid::now_v7();
    let op = Uuid::now_v7();
    let auth = format!("-H 'Authorization: Bearer {token}'");
    let json = "-H 'Content-Type: application/json'";
    let stroke = format!(
        r#"{{"op_id":"{op}","type":"stroke.begin","object_id":"s1","tool":"pen","props":{{}},"points":[[0,0],[10,10]]}}"#
    );
    print_line(&format!(
        "\nRevcast is at {base} (documentation: {base}/docs). Create a drawing, commit an op, read it back:\n\n\
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

/// Completes when the process is asked to stop.
async fn stop_signal() {
    use tokio::signal::{ctrl_c, unix};
    let terminate = async {
        match unix::signal(unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "SIGTERM cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = ctrl_c() => (),
        () = terminate => (),
    }
}
