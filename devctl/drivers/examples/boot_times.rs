//! How long the machine's own servers take to be ready, and what each trick brings: `cargo run --example boot_times`.
//!
//! Wall time depends on what else the machine does, so several rounds are made and the best and the median are shown.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has nothing else to do"
)]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use devctl_drivers::log::RunLog;
use devctl_drivers::postgres::{self, PostgresSpec};
use devctl_drivers::probe::Probe;
use devctl_drivers::process;
use devctl_drivers::rabbitmq::{self, RabbitSpec};
use devctl_drivers::server::Requirement;
use indexmap::IndexMap;

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let dir = tempfile::Builder::new().prefix("devctl-boot").tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    measure_postgres(dir.path()).await;
    for (name, change) in [
        ("as it is", None::<fn(&mut rabbitmq::Prepared)>),
        ("modules one by one", Some(one_by_one)),
        ("all plugins shown", Some(all_plugins)),
        ("line numbers loaded", Some(line_numbers)),
    ] {
        measure_rabbitmq(dir.path(), name, change, true).await;
    }
    measure_rabbitmq(dir.path(), "on all cores", None, false).await;
}

async fn measure_postgres(dir: &Path) {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let root = dir.join(format!("pg-{round}"));
        fs::create_dir(&root).unwrap();
        for (index, (data, cache)) in [("one", "c"), ("two", "c"), ("two", "c")].into_iter().enumerate() {
            let spec = PostgresSpec {
                version: Requirement::Any,
                env: [
                    ("POSTGRES_PASSWORD".to_owned(), "x".to_owned()),
                    ("POSTGRES_DB".into(), "d".into()),
                ]
                .into(),
                init: Vec::new(),
                command: Vec::new(),
                data_dir: root.join(data),
                socket_dir: root.join("s"),
                cache_dir: root.join(cache),
                listen: free(),
            };
            let began = Instant::now();
            let prepared = postgres::prepare(&spec, &RunLog::discard()).await.unwrap();
            let server = process::spawn(&prepared.process, &RunLog::discard()).unwrap();
            ready(Probe::Postgres(prepared.login)).await;
            times[index].push(began.elapsed());
            server.stop(postgres::STOP_SIGNAL, Duration::from_secs(20)).await;
        }
    }
    let names = ["first start, no template", "first start, template", "later start"];
    for (name, times) in names.into_iter().zip(times) {
        show("postgres", name, times);
    }
}

async fn measure_rabbitmq(dir: &Path, name: &str, change: Option<fn(&mut rabbitmq::Prepared)>, hold: bool) {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let spec = RabbitSpec {
            version: Requirement::Any,
            env: IndexMap::new(),
            mounts: IndexMap::new(),
            name: "boot-times".into(),
            data_dir: dir.join(format!("mq-{}-{round}", name.replace(' ', "-"))),
            cache_dir: dir.join("cache"),
            listen: free(),
            management: None,
            dist_port: free().port(),
            epmd_port: free().port(),
        };
        let began = Instant::now();
        let mut prepared = rabbitmq::prepare(&spec).await.unwrap();
        if let Some(change) = change {
            change(&mut prepared);
        }
        let running = rabbitmq::start(&prepared, &RunLog::discard()).await.unwrap();
        if !hold {
            running.booted().await;
        }
        ready(Probe::Amqp(prepared.login)).await;
        times.push(began.elapsed());
        running.stop(Duration::from_secs(20)).await;
    }
    show("rabbitmq", name, times);
}

fn one_by_one(prepared: &mut rabbitmq::Prepared) {
    let at = prepared.process.args.iter().position(|arg| arg == "-eval").unwrap();
    prepared.process.args.drain(at..at + 2);
}

fn all_plugins(prepared: &mut rabbitmq::Prepared) {
    let home = rabbitmq::discover("")
        .remove(0)
        .home
        .join("plugins")
        .display()
        .to_string();
    for name in ["RABBITMQ_PLUGINS_DIR", "ERL_LIBS"] {
        prepared.process.env.insert(name.into(), home.clone());
    }
}

fn line_numbers(prepared: &mut rabbitmq::Prepared) {
    prepared.process.args.retain(|arg| arg != "+L");
}

async fn ready(probe: Probe) {
    while !probe.test(Duration::from_secs(5)).await.ok {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn show(server: &str, name: &str, mut times: Vec<Duration>) {
    times.sort();
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    eprintln!(
        "{server:9} {name:26} best {} median {}",
        seconds(times[0]),
        seconds(times[times.len() / 2])
    );
}
