//! One edge, or a plain relay, in a process of its own: what `benches/edge.sh` measures.
//!
//! `edge-bench edge|relay LISTEN TARGET [--protocol WORD] [--capture off]`, `edge-bench grpc LISTEN`

use std::net::SocketAddr;
use std::process::ExitCode;

use bytes::Bytes;
use devctl_edge::{CaptureLimits, EdgeId, EdgeSpec, Edges, EdgesConfig, Protocol, Target};
use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(Failed::from)
        .and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edge-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let mode = args.first().ok_or("edge, relay or grpc?")?;
    let listen: SocketAddr = args.get(1).ok_or("listen where?")?.parse()?;
    let target = || -> Result<SocketAddr, Failed> { Ok(args.get(2).ok_or("lead where?")?.parse()?) };
    match mode.as_str() {
        "edge" => {
            let mut config = EdgesConfig::default();
            if option("--capture").is_some_and(|word| word == "off") {
                config.capture = CaptureLimits {
                    records: 0,
                    ..CaptureLimits::default()
                };
            }
            let protocol = option("--protocol")
                .and_then(|word| Protocol::from_word(word))
                .unwrap_or_default();
            let edges = Edges::new(config)?;
            let spec = EdgeSpec::new(EdgeId::new("wrk", "backend", 80), listen).protocol(protocol);
            let edge = edges.open(spec).await?;
            let _nothing = edge.target(Target::real(target()?));
            std::future::pending::<()>().await;
            Ok(())
        }
        "relay" => relay(listen, target()?).await,
        "grpc" => grpc(listen).await,
        other => Err(format!("`{other}` is none of edge, relay, grpc").into()),
    }
}

/// What anybody would write first.
async fn relay(listen: SocketAddr, target: SocketAddr) -> Result<(), Failed> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            client.set_nodelay(true)?;
            let mut server = TcpStream::connect(target).await?;
            server.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

/// Answers every call with a message of seven bytes and the status OK.
async fn grpc(listen: SocketAddr) -> Result<(), Failed> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut connection = h2::server::Builder::new()
                .max_concurrent_streams(1000)
                .handshake(client)
                .await?;
            while let Some(call) = connection.accept().await {
                let (_, mut respond) = call?;
                let answer = Response::builder()
                    .header("content-type", "application/grpc")
                    .body(())?;
                let mut body = respond.send_response(answer, false)?;
                body.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), false)?;
                body.send_trailers(HeaderMap::from_iter([("grpc-status".parse()?, "0".parse()?)]))?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
}
