//! Real processes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::log::{Follow, LogStore, Query, Redaction, Retention};

struct Bench {
    dir: tempfile::TempDir,
    store: LogStore,
    log: RunLog,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LogStore::new(&dir.path().join("logs"), Retention::default());
        let log = store.run("node", 1, Redaction::default());
        Self { dir, store, log }
    }

    fn shell(&self, script: &str) -> ProcessSpec {
        ProcessSpec {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            dir: self.dir.path().to_owned(),
            ..ProcessSpec::default()
        }
    }

    fn spawn(&self, script: &str) -> Process {
        spawn(&self.shell(script), &self.log).unwrap()
    }

    fn follow(&self) -> Follow {
        self.store.follow(&Query::default())
    }

    async fn logged(&self) -> Vec<(Stream, String)> {
        let mut found = Vec::new();
        let mut follow = self.store.read(&Query::default());
        while let Some(record) = follow.next().await {
            found.push((record.stream, String::from_utf8_lossy(&record.bytes).into_owned()));
        }
        found
    }
}

async fn next_pid(follow: &mut Follow) -> ProcessId {
    let text = String::from_utf8(follow.next().await.unwrap().bytes).unwrap();
    ProcessId::of(text.trim().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn what_it_wrote_is_in_the_log_when_its_end_is_told() {
    let bench = Bench::new();
    let process = bench.spawn("echo out; echo err >&2; seq 1 20000; printf last; exit 7");
    assert_eq!(process.wait().await, Exit::Code(7));
    let logged = bench.logged().await;
    assert_eq!(logged.len(), 20_003);
    assert!(logged.contains(&(Stream::Stderr, "err".into())));
    assert_eq!(logged.iter().rfind(|l| l.0 == Stream::Stdout).unwrap().1, "last");
    assert_eq!(process.try_wait(), Some(Exit::Code(7)));
    assert!(!process.id().is_alive());
    assert_eq!(ProcessId::of(process.id().pid), None, "a zombie is left");
}

#[tokio::test]
async fn a_child_that_keeps_the_pipe_open_does_not_hold_up_the_end() {
    let bench = Bench::new();
    let mut follow = bench.follow();
    let process = bench.spawn("sleep 1000 & echo $!; exit 0");
    assert_eq!(process.wait().await, Exit::Code(0));
    let child = next_pid(&mut follow).await;
    assert!(child.is_alive());
    process.kill_tree();
    child.gone().await;
}

#[tokio::test]
async fn the_environment_is_the_specs_and_nothing_else() {
    let bench = Bench::new();
    let mut spec = bench.shell("/usr/bin/env");
    spec.program = "/usr/bin/env".into();
    spec.args.clear();
    spec.env.insert("ONLY".into(), "this".into());
    spawn(&spec, &bench.log).unwrap().wait().await;
    let mut lines: Vec<String> = bench.logged().await.into_iter().map(|l| l.1).collect();
    lines.sort();
    assert_eq!(lines, ["ONLY=this", "PATH=/usr/bin:/bin"]);
}

#[tokio::test]
async fn no_descriptor_of_ours_is_inherited() {
    let bench = Bench::new();
    // Whoever started the tests may have left some open for every child.
    let given = |line: &str| {
        fs::read_to_string(format!("/proc/self/fdinfo/{line}")).is_ok_and(|text| {
            let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
            flags.is_some_and(|flags| u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 == 0)
        })
    };
    let given: Vec<String> = (3..1024).map(|fd| fd.to_string()).filter(|fd| given(fd)).collect();
    let other = bench.spawn("exec sleep 1000");
    let process = bench.spawn("exec ls /proc/self/fd");
    process.wait().await;
    other.kill_tree();
    let mut found: Vec<String> = bench.logged().await.into_iter().map(|l| l.1).collect();
    found.retain(|fd| !given.contains(fd));
    // The last is that of the directory which `ls` reads.
    assert_eq!(found, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn signals_reach_the_whole_group() {
    let bench = Bench::new();
    let mut follow = bench.follow();
    let process = bench.spawn("sleep 1000 & echo $!; wait");
    let child = next_pid(&mut follow).await;
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().await, Exit::Signal(Signal::SIGTERM as i32));
    assert_eq!(process.wait().await.to_string(), "SIGTERM");
    child.gone().await;
}

#[tokio::test]
async fn stop_lets_it_finish_and_ends_what_left_the_group() {
    let bench = Bench::new();
    let mut follow = bench.follow();
    let process = bench.spawn("trap 'echo bye; exit 0' TERM; setsid sh -c 'echo $$; exec sleep 1000' & wait; wait");
    let moved = next_pid(&mut follow).await;
    assert_eq!(
        process.stop(Signal::SIGTERM, Duration::from_secs(10)).await,
        Exit::Code(0)
    );
    assert_eq!(bench.logged().await.last().unwrap().1, "bye");
    moved.gone().await;
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed_after_the_grace() {
    let bench = Bench::new();
    let mut follow = bench.follow();
    let process = bench.spawn("trap '' TERM; echo $$; while :; do sleep 1000; done");
    next_pid(&mut follow).await;
    let exit = process.stop(Signal::SIGTERM, Duration::from_millis(50)).await;
    assert_eq!(exit, Exit::Signal(Signal::SIGKILL as i32));
}

#[tokio::test]
async fn a_mark_finds_those_that_left_group_and_parent() {
    let bench = Bench::new();
    let mut follow = bench.follow();
    let mut spec = bench.shell("(setsid sh -c 'echo $$; exec sleep 1000' &) ; exec sleep 1000");
    spec.env
        .insert(RUN_VARIABLE.into(), format!("test-{}", std::process::id()));
    let process = spawn(&spec, &bench.log).unwrap();
    let orphan = next_pid(&mut follow).await;
    process.stop(Signal::SIGTERM, Duration::from_secs(10)).await;
    orphan.gone().await;
}

#[tokio::test]
async fn standard_input_is_null_or_a_pipe() {
    use tokio::io::AsyncWriteExt as _;
    let bench = Bench::new();
    assert_eq!(bench.spawn("cat").wait().await, Exit::Code(0));
    let spec = ProcessSpec {
        stdin: Stdin::Pipe,
        ..bench.shell("cat")
    };
    let process = spawn(&spec, &bench.log).unwrap();
    let mut stdin = process.take_stdin().unwrap();
    stdin.write_all(b"through the pipe\n").await.unwrap();
    drop(stdin);
    assert!(process.wait().await.success());
    assert_eq!(bench.logged().await, [(Stream::Stdout, "through the pipe".into())]);
}

#[tokio::test]
async fn the_limit_of_open_files_is_set() {
    let bench = Bench::new();
    let spec = ProcessSpec {
        nofile: Some(123),
        ..bench.shell("ulimit -n")
    };
    spawn(&spec, &bench.log).unwrap().wait().await;
    assert_eq!(bench.logged().await[0].1, "123");
}

#[tokio::test]
async fn another_user_has_that_user_s_ids_and_no_other_groups() {
    let Some(user) = UserId::to_drop_to(&[]) else {
        println!("skipped: not root");
        return;
    };
    let bench = Bench::new();
    let spec = ProcessSpec {
        user: Some(user.clone()),
        dir: "/".into(),
        ..bench.shell("id -u; id -G")
    };
    spawn(&spec, &bench.log).unwrap().wait().await;
    let lines: Vec<String> = bench.logged().await.into_iter().map(|l| l.1).collect();
    assert_eq!(lines, [user.uid.to_string(), user.gid.to_string()]);
    fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = spawn(
        &ProcessSpec {
            user: Some(user),
            ..bench.shell("true")
        },
        &bench.log,
    )
    .unwrap_err();
    assert!(
        matches!(&error, SpawnError::ClosedDirectory { closed, .. } if closed == bench.dir.path()),
        "{error}"
    );
    assert!(error.help().unwrap().contains("chmod o+x"));
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_where_was_looked() {
    let bench = Bench::new();
    let write = |name: &str, mode, text: &str| {
        let path = bench.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("plain", 0o644, "text");
    write("no-interpreter", 0o755, "#!/no/such/interpreter -x\n");
    let fail = |change: &dyn Fn(&mut ProcessSpec)| {
        let mut spec = bench.shell("true");
        change(&mut spec);
        let error = spawn(&spec, &bench.log).unwrap_err();
        (error.to_string(), error.help().unwrap())
    };
    let (error, help) = fail(&|spec| spec.program = "no-such-program".into());
    assert_eq!(error, "find `no-such-program`");
    assert!(help.ends_with("looked in /usr/bin, /bin"), "{help}");
    let (error, help) = fail(&|spec| spec.program = "./no-such-program".into());
    assert_eq!(error, "find `./no-such-program`");
    assert!(help.contains("does not exist"), "{help}");
    let (error, help) = fail(&|spec| spec.program = "./plain".into());
    assert!(
        error.ends_with("no permission to execute it") && help.starts_with("chmod +x "),
        "{error} {help}"
    );
    let (error, _) = fail(&|spec| spec.program = "./no-interpreter".into());
    assert!(
        error.ends_with("its interpreter `/no/such/interpreter` is missing"),
        "{error}"
    );
    let (error, _) = fail(&|spec| spec.dir = "/no/such/dir".into());
    assert_eq!(error, "enter `/no/such/dir`: no such directory");
}
