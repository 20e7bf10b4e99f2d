//! The fast loop beside Pact's own tools: the same pact of 300, 1,000 and 10,000 interactions, the same provider, one run.
//!
//! `make bench-verify` runs it. Arguments: how many interactions. `DEVCTL` and `PACT` name the two command lines; a tool
//! that is not there is said to be so; one that takes longer than `LIMIT` seconds (60) is ended, and was slower than that.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and ends where something fails"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use devctl_pact::index::{Source, load};
use devctl_pact::verify::{HttpVerifier, NoStates, Target, Verdict};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let counts: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|count| count.parse().ok())
        .collect();
    let limit = std::env::var("LIMIT")
        .ok()
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(60);
    let limit = Duration::from_secs(limit);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), "name: bench\nservices: {}\n").unwrap();
    let address = provider().await;
    println!("{:>8}  {:<28} {:>10} {:>10}", "promises", "by", "seconds", "ratio");
    for count in counts {
        let file = folder.path().join(format!("{count}.json"));
        std::fs::write(&file, pact(count).to_string()).unwrap();
        let own = fast_loop(&file, address, count).await;
        let row = |by: &str, took: Took| {
            let (sign, took) = match took {
                Took::Known(took) => ("", took),
                Took::Longer => (">", limit),
                Took::Failed(why) => return println!("{count:>8}  {by:<28} {why:>22}"),
            };
            let ratio = format!("{sign}{:.1}x", took.as_secs_f64() / own.as_secs_f64());
            let seconds = format!("{sign}{:.3}", took.as_secs_f64());
            println!("{count:>8}  {by:<28} {seconds:>10} {ratio:>10}");
        };
        row("the fast loop", Took::Known(own));
        let url = format!("fast=http://{address}");
        let path = file.display().to_string();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let devctl = std::env::var("DEVCTL").ok();
        let args = ["verify", "--no-cache", "--url", &url, &path];
        row("devctl verify", command(devctl, &args, folder.path(), limit));
        let args = ["verifier", "--file", &path, "--hostname", &host, "--port", &port];
        let pact = std::env::var("PACT").ok();
        row("pact (its command line)", command(pact, &args, folder.path(), limit));
        // Last: where it takes too long it goes on.
        let crate_alone = match tokio::time::timeout(limit, whole(&file, address)).await {
            Ok(Some(took)) => Took::Known(took),
            Ok(None) => Took::Failed("failed"),
            Err(_) => Took::Longer,
        };
        row("pact_verifier (the crate)", crate_alone);
    }
    // What takes too long in this process cannot be ended otherwise.
    std::process::exit(0);
}

/// How long something took.
enum Took {
    Known(Duration),
    /// It was ended at the limit.
    Longer,
    Failed(&'static str),
}

async fn fast_loop(file: &Path, address: SocketAddr, count: usize) -> Duration {
    let began = Instant::now();
    let loaded = load(&[Source::Path(file.to_owned())], Path::new("/")).await;
    let promises: Vec<_> = loaded.contracts[0]
        .interactions
        .iter()
        .map(|interaction| (loaded.contracts[0].clone(), interaction.clone()))
        .collect();
    let verifier = HttpVerifier::new(Target::new(format!("http://{address}").parse().unwrap())).unwrap();
    let outcomes = verifier.verify_all(&promises, &NoStates, |_| true).await;
    let kept = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Passed)
        .count();
    assert_eq!(kept, count, "the provider keeps every promise");
    began.elapsed()
}

/// `pact_verifier` with the whole pact, as a program would call it.
async fn whole(file: &Path, address: SocketAddr) -> Option<Duration> {
    use pact_verifier::callback_executors::HttpRequestProviderStateExecutor;
    use pact_verifier::{
        FilterInfo, NullRequestFilterExecutor, ProviderInfo, ProviderTransport, VerificationOptions,
        verify_pact_internal,
    };
    let source = std::fs::read_to_string(file).ok()?;
    let handle = tokio::runtime::Handle::current();
    // Its future is not `Send`: it gets a thread that may block.
    tokio::task::spawn_blocking(move || {
        handle.block_on(async {
            let began = Instant::now();
            let json: Value = serde_json::from_str(&source).ok()?;
            let pact = pact_models::pact::load_pact_from_json("bench", &json).ok()?;
            let provider = ProviderInfo {
                name: "fast".to_owned(),
                host: address.ip().to_string(),
                transports: vec![ProviderTransport {
                    port: Some(address.port()),
                    ..ProviderTransport::default()
                }],
                ..ProviderInfo::default()
            };
            let options: VerificationOptions<NullRequestFilterExecutor> = VerificationOptions {
                request_filter: None,
                ..VerificationOptions::default()
            };
            let states = Arc::new(HttpRequestProviderStateExecutor::default());
            let result = verify_pact_internal(
                &provider,
                &FilterInfo::None,
                pact,
                &options,
                &states,
                false,
                Duration::ZERO,
            );
            result.await.ok()?;
            Some(began.elapsed())
        })
    })
    .await
    .ok()
    .flatten()
}

/// How long a command takes.
fn command(program: Option<String>, args: &[&str], dir: &Path, limit: Duration) -> Took {
    let Some(program) = program.filter(|program| !program.is_empty()) else {
        return Took::Failed("not installed");
    };
    let began = Instant::now();
    let child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("PACT_DO_NOT_TRACK", "true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Took::Failed("not installed");
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Took::Known(began.elapsed()),
            Ok(Some(_)) | Err(_) => return Took::Failed("failed"),
            Ok(None) if began.elapsed() > limit => {
                // It has ended, or is ended now; either way it is waited for.
                let _gone = child.kill();
                let _status = child.wait();
                return Took::Longer;
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// A provider in this process that answers at once.
async fn provider() -> SocketAddr {
    let item = async || {
        (
            [(CONTENT_TYPE, "application/json")],
            r#"{"id":1,"name":"one","price":10}"#,
        )
    };
    let app = Router::new().route("/items/{id}", get(item));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn pact(count: usize) -> Value {
    let interaction = |at: usize| {
        json!({
            "description": format!("item {at}"),
            "request": {"method": "GET", "path": format!("/items/{at}")},
            "response": {
                "status": 200,
                "headers": {"Content-Type": "application/json"},
                "body": {"id": 1, "name": "one", "price": 10},
                "matchingRules": {"body": {"$.price": {"matchers": [{"match": "integer"}]}}}
            }
        })
    };
    json!({
        "consumer": {"name": "bench"},
        "provider": {"name": "fast"},
        "interactions": (0..count).map(interaction).collect::<Vec<_>>(),
        "metadata": {"pactSpecification": {"version": "3.0.0"}}
    })
}
