//! Hard use of a real graph's edges, and nothing of it left behind: open files, memory.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, SERVICE, free_port, get, wait_for};

const LONG: Duration = Duration::from_secs(60);
const CONNECTIONS: usize = 2_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn project(port: u16) -> Project {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/many.py");
    Project::new(&format!(
        r#"
name: load
services:
  many:
    image: python:3
    ports: ["{port}:8080"]
    x-devctl: {{native: {{command: [python3, "{script}"], ports: {{"8080": PORT}}, ready: /}}}}
"#
    ))
}

fn files(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// Resident, in MiB.
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a size");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("KiB");
    kib / 1024
}

fn ask(at: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: many\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    stream
}

/// Reads until the answer ends with this.
fn ends_with(stream: &mut TcpStream, end: &[u8]) {
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(end) {
        let count = stream.read(&mut piece).expect("an answer");
        assert!(count > 0, "ended after {}", answer.escape_ascii());
        answer.extend_from_slice(&piece[..count]);
    }
}

/// Reads so many bytes, and what the process had in memory at most meanwhile.
fn take(stream: &mut TcpStream, bytes: u64, pid: i32) -> u64 {
    let (mut left, mut most, mut piece) = (bytes, 0, vec![0; 1 << 20]);
    while left > 0 {
        let wanted = usize::try_from(left.min(MIB)).expect("it fits");
        let count = stream.read(&mut piece[..wanted]).expect("a body") as u64;
        assert!(count > 0, "ended {left} bytes early");
        if left / (64 * MIB) != (left - count) / (64 * MIB) {
            most = most.max(memory(pid));
        }
        left -= count;
    }
    most
}

#[test]
fn two_thousand_connections_large_bodies_slow_and_half_closed_callers_leave_nothing_behind() {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit").1;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).expect("the limit");
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port);
    // As a login shell has it: the daemon takes more for itself.
    let up = project.command(&["up", "-d", "--wait"]);
    let script = r#"ulimit -S -n 1024; exec "$0" "$@""#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(up.get_program()).args(up.get_args());
    shell.current_dir(project.dir());
    shell.envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(shell.output().expect("a shell").status.success());
    assert_eq!(get(&at, "/"), Some((200, "here".to_owned())));
    let pid = project.daemon();
    let (files_before, memory_before) = (files(pid), memory(pid));

    let mut open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| ask(&at, "/")).collect();
    open.iter_mut().for_each(|stream| ends_with(stream, b"here"));
    assert!(files(pid) > CONNECTIONS, "they are all open");
    // Each of them is of use still.
    for stream in open.iter_mut().step_by(100) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: many\r\n\r\n")
            .expect("another request");
        ends_with(stream, b"here");
    }
    drop(open);

    let mut large = ask(&at, &format!("/large?{GIB}"));
    let most = take(&mut large, GIB, pid);
    assert!(most < memory_before + 128, "{most} MiB, and {memory_before} before");

    // Who reads no further holds the provider back, and takes no memory.
    let mut slow = ask(&at, &format!("/large?{GIB}"));
    take(&mut slow, 4 * MIB, pid);
    let mut beside = ask(&at, "/");
    ends_with(&mut beside, b"here");
    assert!(memory(pid) < memory_before + 128, "{} MiB", memory(pid));
    drop(slow);

    // Whoever has said everything may say so, and is answered all the same.
    let mut half = ask(&at, "/slow?0.2");
    half.shutdown(Shutdown::Write).expect("half of it");
    ends_with(&mut half, b"here");
    drop((half, beside, large));

    wait_for("every connection to be closed", LONG, || {
        (files(pid) <= files_before + 4).then_some(())
    });
    assert!(
        memory(pid) < memory_before + 64,
        "{} MiB, and {memory_before} before",
        memory(pid)
    );
    let edges = project.ok(&["edges", "--format", "json"]).out;
    let edge: serde_json::Value = serde_json::from_str(edges.lines().next().expect("an edge")).expect("JSON");
    // The slow reader left in the middle of its answer: that is no error of the provider's.
    assert_eq!(edge["errors"], 0, "{edge}");
}

#[test]
fn an_edge_that_is_killed_in_the_middle_of_a_request_ends_it_at_once() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port);
    project.ok(&["up", "-d", "--wait"]);
    let mut waiting = ask(&at, "/slow?50");
    wait_for("the request to be under way", LONG, || {
        let edges = project.ok(&["edges", "--format", "json"]).out;
        let edge: serde_json::Value = serde_json::from_str(edges.lines().next()?).ok()?;
        (edge["connections"] == 1).then_some(())
    });
    let began = Instant::now();
    kill(Pid::from_raw(project.daemon()), Signal::SIGKILL).expect("it runs");
    let mut answer = Vec::new();
    let _reset = waiting.read_to_end(&mut answer);
    assert!(
        answer.is_empty() && began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    project.wait_until_gone(Duration::from_secs(10));
    project.ok(&["up", "-d", "--wait"]);
    assert_eq!(get(&at, "/"), Some((200, "here".to_owned())));
}

#[test]
fn a_disk_that_is_full_while_it_runs_is_told_and_stops_nothing_and_room_is_used_again() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = Project::new(&format!(
        r#"
name: full
services:
  api:
    image: python:3
    ports: ["{port}:8080"]
    environment: {{NAME: api}}
    x-devctl: {{native: {{command: [python3, "{SERVICE}"], ports: {{"8080": PORT}}, ready: /healthz}}}}
  noisy:
    image: sh
    x-devctl: {{native: {{command: [sh, -c, "head -c 900000 /dev/zero | tr '\\0' x | fold -w 100; exec sleep 1000"]}}}}
"#
    ));
    let disk = "mkdir .devctl && mount -t tmpfs -o size=1m tmpfs .devctl && head -c 500000 /dev/zero > .devctl/ballast";
    if !project.up_in_namespaces(&["--mount"], disk) {
        return;
    }
    let notices = || project.ok(&["events", "--since", "1h", "--until", "0s"]).out;
    let told = wait_for("word of the full disk", LONG, || {
        Some(notices()).filter(|told| told.contains("are lost: "))
    });
    assert!(told.to_lowercase().contains("no space left on device"), "{told}");
    // It serves, is started again, and `ps` knows of it.
    assert_eq!(get(&at, "/").map(|(status, _)| status), Some(200));
    let before = project.pid("api");
    project.ok(&["restart", "api"]);
    wait_for("another run", LONG, || get(&at, "/"));
    assert_ne!(project.pid("api"), before);
    // Its disk is seen from where it runs.
    let inside = |command: &[&str]| {
        let daemon = project.daemon().to_string();
        let mut nsenter = std::process::Command::new("nsenter");
        nsenter.args(["--preserve-credentials", "-U", "-m", "-t", &daemon]);
        nsenter.args(command).output().expect("nsenter")
    };
    let state = format!("{}/.devctl/full", project.dir().display());
    let removed = inside(&["rm", &format!("{}/.devctl/ballast", project.dir().display())]);
    assert!(removed.status.success(), "{removed:?}");
    wait_for("lines that are kept again", LONG, || {
        get(&at, "/kept-again")?;
        let found = inside(&["grep", "-rq", "kept-again", &format!("{state}/logs/api")]);
        found.status.success().then_some(())
    });
}
