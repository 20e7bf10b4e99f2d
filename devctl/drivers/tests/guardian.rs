//! The guardian with a stand-in for the daemon that is killed with SIGKILL: nothing may be left after two seconds.
//!
//! The guardian must run in a process of one thread, which a test is not, so this file is a program of its own: started
//! again with arguments, it plays guardian and daemon.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by panicking; clippy knows no test without a harness"
)]
#![expect(
    clippy::zombie_processes,
    reason = "a daemon that forgets its children is what is played here"
)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use devctl_drivers::guardian::{self, Daemon, Guarded};
use devctl_drivers::proc::{self, ProcessId};
use devctl_drivers::process::RUN_VARIABLE;
use nix::sys::signal::Signal;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let role = args.get(1).map_or("", String::as_str);
    match (role, args.get(2)) {
        ("play-guardian", Some(dir)) => play_guardian(dir),
        ("play-daemon", Some(dir)) => play_daemon(Path::new(dir)),
        // `cargo test` asks for a list only when told to.
        _ if args.iter().any(|arg| arg == "--list") => ExitCode::SUCCESS,
        _ => {
            let tests: [(&str, fn()); 4] = [
                ("a_killed_daemon_leaves_nothing", a_killed_daemon_leaves_nothing),
                (
                    "the_daemon_hears_of_its_guardian_s_death",
                    the_daemon_hears_of_its_guardian_s_death,
                ),
                (
                    "recorded_leftovers_are_ended_and_strangers_are_not",
                    recorded_leftovers_are_ended_and_strangers_are_not,
                ),
                (
                    "who_left_its_session_is_known_by_its_mark",
                    who_left_its_session_is_known_by_its_mark,
                ),
            ];
            for (name, test) in tests {
                test();
                eprintln!("test {name} ... ok");
            }
            ExitCode::SUCCESS
        }
    }
}

fn play_guardian(dir: &str) -> ExitCode {
    let program = std::env::current_exe().unwrap();
    let args = ["play-daemon", dir].map(OsString::from).to_vec();
    let status = guardian::run(&Daemon {
        program,
        args,
        output: Some(PathBuf::from(dir).join("output")),
        own_group: true,
    });
    ExitCode::from(status.unwrap())
}

/// Starts all kinds of children that like to be forgotten, each of which writes its pid into a file, and waits for the guardian's end.
fn play_daemon(dir: &Path) -> ExitCode {
    let scripts = [
        "echo $$ > plain; exec sleep 1000",
        "setsid sh -c 'echo $$ > session; exec sleep 1000' & wait",
        "(setsid sh -c 'echo $$ > orphan; exec sleep 1000' &); exit 0",
        "trap '' TERM INT HUP; echo $$ > deaf; while :; do sleep 1000; done",
        "(setsid sh -c '(setsid sh -c \"echo \\$\\$ > deep; exec sleep 1000\" &)' &)",
    ];
    for script in scripts {
        Command::new("sh")
            .args(["-c", script])
            .current_dir(dir)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
    }
    fs::write(dir.join("daemon"), std::process::id().to_string()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut guarded = Guarded::take().unwrap();
        fs::write(dir.join("guarded"), guarded.guardian.pid.to_string()).unwrap();
        guarded.lost().await;
    });
    fs::write(dir.join("lost"), "1").unwrap();
    ExitCode::SUCCESS
}

/// A guardian whose daemon and children have all come up.
struct Graph {
    dir: tempfile::TempDir,
    guardian: Child,
    members: Vec<ProcessId>,
    daemon: ProcessId,
}

/// Whatever a test says, nothing of it stays.
impl Drop for Graph {
    fn drop(&mut self) {
        // What has ended already is what is wanted.
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
        for id in self.members.iter().chain([&self.daemon]) {
            id.signal(Signal::SIGKILL);
        }
    }
}

fn start() -> Graph {
    let dir = tempfile::tempdir().unwrap();
    let guardian = Command::new(std::env::current_exe().unwrap())
        .arg("play-guardian")
        .arg(dir.path())
        .spawn()
        .unwrap();
    let read = |name: &str| {
        let path = dir.path().join(name);
        let text = until(Duration::from_secs(20), || {
            fs::read_to_string(&path).ok().filter(|text| !text.is_empty())
        });
        ProcessId::of(text.unwrap_or_else(|| panic!("no `{name}`")).trim().parse().unwrap()).unwrap()
    };
    let members = ["plain", "session", "orphan", "deaf", "deep"].map(read).to_vec();
    read("guarded");
    let daemon = read("daemon");
    Graph {
        dir,
        guardian,
        members,
        daemon,
    }
}

/// Waits for `found`, or gives up.
fn until<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        match found() {
            Some(value) => return Some(value),
            None if began.elapsed() > limit => return None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn a_killed_daemon_leaves_nothing() {
    let mut graph = start();
    let guardian = i32::try_from(graph.guardian.id()).unwrap();
    assert!(graph.members.iter().all(|id| id.is_alive()));
    // What the guardian blocks for itself must not reach those below: they could not be asked to end.
    for id in graph.members.iter().chain([&graph.daemon]) {
        let status = fs::read_to_string(format!("/proc/{}/status", id.pid)).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        assert_eq!(blocked.trim(), "0000000000000000", "{id:?}");
    }
    // Orphans that have ended already are the guardian's to reap; the daemon's own are not.
    let reaped = || {
        proc::table()
            .values()
            .all(|stat| stat.parent != guardian || !stat.zombie)
            .then_some(())
    };
    assert!(until(Duration::from_secs(5), reaped).is_some(), "zombies stay");
    let began = Instant::now();
    assert!(graph.daemon.signal(Signal::SIGKILL));
    let status = graph.guardian.wait().unwrap();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(128 + 9));
    let left: Vec<&ProcessId> = graph.members.iter().filter(|id| id.is_alive()).collect();
    assert!(left.is_empty(), "left: {left:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    eprintln!("all gone {took:?} after SIGKILL");
}

fn the_daemon_hears_of_its_guardian_s_death() {
    let mut graph = start();
    graph.guardian.kill().unwrap();
    graph.guardian.wait().unwrap();
    let told = until(Duration::from_secs(5), || {
        graph.dir.path().join("lost").exists().then_some(())
    });
    assert!(told.is_some());
    // Both are gone now: this is what the recorded ids are for.
    let found = guardian::end_leftovers(&graph.members, "none", Duration::from_millis(200));
    assert_eq!(found.len(), graph.members.len());
    let ended = until(Duration::from_secs(2), || {
        graph.members.iter().all(|id| !id.is_alive()).then_some(())
    });
    assert!(ended.is_some());
}

fn recorded_leftovers_are_ended_and_strangers_are_not() {
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    let id = ProcessId::of(i32::try_from(stranger.id()).unwrap()).unwrap();
    let earlier = ProcessId {
        start_time: id.start_time - 1,
        ..id
    };
    assert_eq!(guardian::end_leftovers(&[earlier], "none", Duration::from_secs(5)), []);
    assert!(id.is_alive());
    assert_eq!(guardian::end_leftovers(&[id], "none", Duration::from_secs(5)), [id]);
    assert!(!id.is_alive());
    stranger.wait().unwrap();
}

/// In a session of its own, and its parent gone: its environment alone tells whose it is.
fn who_left_its_session_is_known_by_its_mark() {
    let project = format!("marked-{}", std::process::id());
    let start = |project: &str| {
        let script = "setsid sleep 1000 >/dev/null 2>&1 & echo $!; exit 0";
        let said = Command::new("sh")
            .args(["-c", script])
            .env(RUN_VARIABLE, format!("{project}/api#1"))
            .output()
            .unwrap();
        let pid: i32 = String::from_utf8_lossy(&said.stdout).trim().parse().unwrap();
        ProcessId::of(pid).unwrap()
    };
    let (own, other) = (start(&project), start(&format!("{project}-other")));
    assert_eq!(guardian::end_leftovers(&[], &project, Duration::from_secs(5)), [own]);
    assert!(!own.is_alive() && other.is_alive());
    other.signal(nix::sys::signal::Signal::SIGKILL);
}
