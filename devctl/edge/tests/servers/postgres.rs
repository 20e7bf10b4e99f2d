//! PostgreSQL: passed through, and held while it starts.

use std::path::Path;
use std::process::{Command, Stdio};

use devctl_edge::{Protocol, Target};
use nix::sys::signal::Signal;

use crate::{PATIENCE, Server, edge, free_port, skip};

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// A command of PostgreSQL's, never as root: it refuses that.
fn command(program: &str) -> Command {
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            &format!("{BIN}/{program}"),
        ]);
        command
    } else {
        Command::new(format!("{BIN}/{program}"))
    }
}

fn start(dir: &Path, port: u16) -> Server {
    let mut server = command("postgres");
    server.args([
        "-D",
        dir.to_str().unwrap(),
        "-p",
        &port.to_string(),
        "-h",
        "127.0.0.1",
        "-c",
        "fsync=off",
        "-k",
        "",
    ]);
    server.stdout(Stdio::null()).stderr(Stdio::null());
    Server::start(server, Signal::SIGINT)
}

#[tokio::test]
async fn a_query_waits_for_the_server() {
    if !Path::new(BIN).exists() {
        return skip("no PostgreSQL 15 on this machine");
    }
    let dir = tempfile::Builder::new().prefix("edge-pg").tempdir().unwrap();
    if let Ok(Some(user)) = nix::unistd::User::from_name("postgres") {
        nix::unistd::chown(dir.path(), Some(user.uid), Some(user.gid)).unwrap();
    }
    let data = dir.path().join("data");
    let made = command("initdb")
        .args(["-D", data.to_str().unwrap(), "-A", "trust", "-U", "devctl", "-N"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");

    let (_edges, edge) = edge("orders-db", 5432).await;
    let login = format!(
        "host=127.0.0.1 port={} user=devctl dbname=postgres",
        edge.address().port()
    );
    let connecting = tokio::spawn(async move { tokio_postgres::connect(&login, tokio_postgres::NoTls).await });
    let port = free_port();
    let _server = start(&data, port);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(!connecting.is_finished(), "it waits");
    let _ = edge.target(Target::real(([127, 0, 0, 1], port).into()));
    let (client, connection) = match connecting.await.unwrap() {
        Ok(connected) => connected,
        // A server that has just begun to listen may still say that it starts up.
        Err(_) => retry(&edge).await,
    };
    tokio::spawn(connection);
    let row = client.query_one("select 6 * 7", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    assert_eq!(edge.stats().protocol, Protocol::Postgres);
    // What a refused login went over may be closed a moment later than the client was told.
    let one = async {
        while edge.stats().open > 1 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, one).await.is_ok(), "{:?}", edge.stats());
    assert_eq!(edge.stats().open, 1);
}

async fn retry(
    edge: &devctl_edge::Edge,
) -> (
    tokio_postgres::Client,
    tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
) {
    let login = format!(
        "host=127.0.0.1 port={} user=devctl dbname=postgres",
        edge.address().port()
    );
    loop {
        if let Ok(connected) = tokio_postgres::connect(&login, tokio_postgres::NoTls).await {
            return connected;
        }
        tokio::task::yield_now().await;
    }
}
