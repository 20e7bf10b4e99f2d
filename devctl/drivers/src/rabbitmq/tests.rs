//! The machine's real RabbitMQ.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use super::*;
use crate::exec::{self, Keep};
use crate::log::{LogStore, Query, Redaction, Retention, RunLog};
use crate::probe::Probe;
use crate::process::Exit;

/// Directories that the broker's user can enter, and free ports.
struct Bench {
    dir: tempfile::TempDir,
    spec: RabbitSpec,
    store: LogStore,
}

/// Whether there is a RabbitMQ to test with. Where CI runs there must be.
fn here() -> bool {
    let here = !discover(&std::env::var("PATH").unwrap()).is_empty();
    assert!(here || std::env::var_os("CI").is_none(), "no RabbitMQ on this machine");
    if !here {
        println!("skipped: no RabbitMQ on this machine");
    }
    here
}

impl Bench {
    fn new(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("rmq").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        // Held together until all are known, or one might be given twice.
        let held: Vec<_> = (0..4)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = held.iter().map(|one| one.local_addr().unwrap().port()).collect();
        let spec = RabbitSpec {
            version: Requirement::Any,
            env: env
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            mounts: IndexMap::new(),
            name: "drivers-test".into(),
            data_dir: dir.path().join("data/mq"),
            cache_dir: dir.path().join("cache"),
            listen: ([127, 0, 0, 1], ports[0]).into(),
            management: Some(([127, 0, 0, 1], ports[1]).into()),
            dist_port: ports[2],
            epmd_port: ports[3],
        };
        let store = LogStore::new(&dir.path().join("logs"), Retention::default());
        Self { dir, spec, store }
    }

    fn log(&self) -> RunLog {
        self.store.run("mq", 1, Redaction::default())
    }

    async fn last_lines(&self) -> String {
        let mut follow = self.store.read(&Query {
            tail: Some(30),
            ..Query::default()
        });
        let mut text = String::new();
        while let Some(record) = follow.next().await {
            text += &String::from_utf8_lossy(&record.bytes);
            text += "\n";
        }
        text
    }

    async fn boot(&self) -> (Prepared, Guard) {
        let began = Instant::now();
        let prepared = prepare(&self.spec).await.unwrap();
        let server = Guard(start(&prepared, &self.log()).await.unwrap());
        let probe = Probe::Amqp(prepared.login.clone());
        loop {
            let tested = probe.test(Duration::from_secs(10)).await;
            if tested.ok {
                break;
            }
            let ended = server.0.broker.try_wait();
            if ended.is_some() || began.elapsed() > Duration::from_secs(90) {
                panic!("{} {ended:?}\n{}", tested.output, self.last_lines().await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("boot: {:?}", began.elapsed());
        server.0.booted().await;
        (prepared, server)
    }
}

/// A server that is killed with the test.
struct Guard(Running);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// One boot for all that can be seen of a running broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_means_what_the_image_means_and_stays_on_loopback() {
    if !here() {
        return;
    }
    let mut bench = Bench::new(&[
        ("RABBITMQ_DEFAULT_USER", "shop"),
        ("RABBITMQ_DEFAULT_PASS", "p#ss \"w\\rd"),
        ("RABBITMQ_DEFAULT_VHOST", "orders"),
    ]);
    let conf = bench.dir.path().join("rabbitmq.conf");
    fs::write(&conf, "listeners.tcp.default = 5672\nheartbeat = 17\n").unwrap();
    bench.spec.mounts.insert("/etc/rabbitmq/rabbitmq.conf".into(), conf);
    let (prepared, server) = bench.boot().await;
    let pid = server.0.broker.id().pid;

    // The user that it was told, on the virtual host that it was told, and no other.
    let mut wrong = prepared.login.clone();
    wrong.password = "wrong".into();
    let tested = Probe::Amqp(wrong).test(Duration::from_secs(10)).await;
    assert_eq!((tested.ok, tested.output.as_str()), (false, "user `shop` was refused"));
    let mut wrong = prepared.login.clone();
    wrong.vhost = "/".into();
    let tested = Probe::Amqp(wrong).test(Duration::from_secs(10)).await;
    assert!(!tested.ok && tested.output.contains("vhost"), "{}", tested.output);

    // Management, on its own port.
    let addr = bench.spec.management.unwrap();
    let page = Probe::Http {
        addr,
        path: "/".into(),
        host: None,
    }
    .test(Duration::from_secs(10))
    .await;
    assert!(page.ok, "{}", page.output);

    // Not root, no other address than loopback, all cores.
    assert_ne!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0);
    for port in [
        bench.spec.listen.port(),
        addr.port(),
        bench.spec.dist_port,
        bench.spec.epmd_port,
    ] {
        assert!(
            crate::lease::who_listens(([127, 0, 0, 1], port).into()).is_some(),
            "{port}"
        );
        assert_eq!(crate::lease::who_listens(([127, 9, 9, 9], port).into()), None, "{port}");
    }
    let allowed = |path: &str| {
        let status = fs::read_to_string(path).unwrap();
        status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed:").map(str::to_owned))
            .unwrap()
    };
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let path = thread.unwrap().path().join("status");
        assert_eq!(allowed(path.to_str().unwrap()), allowed("/proc/self/status"));
    }

    // The command line tool reaches it, and sees the mounted configuration and every scheduler.
    let mut ctl = prepared.ctl.clone();
    ctl.args.extend([
        "eval".into(),
        "{application:get_env(rabbit, heartbeat), erlang:system_info(schedulers_online)}.".into(),
    ]);
    let told = exec::run(&ctl, Some(Duration::from_secs(60)), Keep::default())
        .await
        .unwrap();
    let cores = std::thread::available_parallelism().unwrap().get().min(4);
    assert_eq!(told.output.trim(), format!("{{{{ok,17}},{cores}}}"));

    let began = Instant::now();
    let exit = server.0.stop(Duration::from_secs(30)).await;
    println!("stop: {:?}", began.elapsed());
    assert_eq!(exit, Exit::Code(0), "{}", bench.last_lines().await);
    assert!(!server.0.epmd.id().is_alive());

    // A second start on the same data.
    let (prepared, server) = bench.boot().await;
    assert!(
        prepared.notes.iter().any(|note| note.contains("listeners.tcp.default")),
        "{:?}",
        prepared.notes
    );
    server.0.kill();
    assert_eq!(server.0.broker.wait().await, Exit::Signal(9));
}

#[tokio::test]
async fn versions_and_plugins_that_are_not_there_are_named() {
    if !here() {
        return;
    }
    let mut bench = Bench::new(&[]);
    let enabled = bench.dir.path().join("enabled");
    fs::write(&enabled, "[rabbitmq_no_such].").unwrap();
    bench
        .spec
        .mounts
        .insert("/etc/rabbitmq/enabled_plugins".into(), enabled);
    let error = prepare(&bench.spec).await.unwrap_err();
    assert!(error.to_string().contains("`rabbitmq_no_such`"), "{error}");
    assert!(error.help().unwrap().contains("rabbitmq_shovel"));
    bench.spec.version = "99".parse().unwrap();
    let error = prepare(&bench.spec).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("find RabbitMQ 99 on this machine (found "),
        "{error}"
    );
    assert!(error.help().unwrap().contains("--runtime docker"));
}

#[tokio::test]
async fn a_taken_port_of_the_mapper_is_an_error_and_leaves_nothing() {
    if !here() {
        return;
    }
    let bench = Bench::new(&[]);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", bench.spec.epmd_port)).unwrap();
    let mut prepared = prepare(&bench.spec).await.unwrap();
    // Nothing that boots is needed to see it.
    prepared.process.program = "/bin/sleep".into();
    prepared.process.args = vec!["1000".into()];
    match start(&prepared, &bench.log()).await {
        Err(error) => assert!(matches!(error, RabbitError::Epmd { .. }), "{error}"),
        // The listener itself took the connection that asks whether epmd is up; the end of epmd is what ends the run.
        Ok(running) => {
            running.epmd.wait().await;
            running.kill();
        }
    }
}
