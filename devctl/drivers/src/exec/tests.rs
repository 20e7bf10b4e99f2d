//! Real commands.

use super::*;
use crate::log::{LogStore, Query, Redaction, Retention};
use crate::proc::ProcessId;

fn shell(script: &str) -> ProcessSpec {
    ProcessSpec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        dir: "/".into(),
        ..ProcessSpec::default()
    }
}

#[tokio::test]
async fn output_and_status_come_back_in_order() {
    let outcome = run(
        &shell("echo one; echo two >&2; echo three; exit 3"),
        None,
        Keep::default(),
    )
    .await
    .unwrap();
    assert_eq!(outcome.exit, Some(Exit::Code(3)));
    assert_eq!(outcome.output, "one\ntwo\nthree\n");
    assert!(!outcome.success());
}

#[tokio::test]
async fn long_output_keeps_its_beginning_and_its_end() {
    let outcome = run(&shell("seq 1 100000"), None, Keep { head: 10, tail: 12 })
        .await
        .unwrap();
    assert!(outcome.output.starts_with("1\n2\n3\n4\n5\n\n["), "{}", outcome.output);
    assert!(
        outcome.output.ends_with(" bytes left out]\n9999\n100000\n"),
        "{}",
        outcome.output
    );
}

#[tokio::test]
async fn standard_input_is_at_its_end_even_with_the_spec_of_a_server_that_has_a_pipe() {
    let spec = ProcessSpec {
        stdin: Stdin::Pipe,
        ..shell("cat; echo done")
    };
    let outcome = run(&spec, Some(Duration::from_secs(20)), Keep::default())
        .await
        .unwrap();
    assert_eq!((outcome.success(), outcome.output.as_str()), (true, "done\n"));
}

/// A tree that would outlive its first process: it tells the pid of its last.
const TREE: &str = "setsid sh -c 'echo $$; exec sleep 1000' & wait";

#[tokio::test]
async fn one_that_takes_too_long_is_ended_with_its_tree() {
    let outcome = run(&shell(TREE), Some(Duration::from_millis(400)), Keep::default())
        .await
        .unwrap();
    assert_eq!(outcome.exit, None);
    let pid: i32 = outcome.output.trim().parse().unwrap();
    if let Some(id) = ProcessId::of(pid) {
        id.gone().await;
    }
}

#[tokio::test]
async fn giving_it_up_ends_it() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let spec = shell(TREE);
    let work = stream(&spec, None, Keep::default(), None, move |_, line| {
        tell.send(line.to_owned()).unwrap()
    });
    let id = tokio::select! {
        _ = work => panic!("ended by itself"),
        line = told.recv() => ProcessId::of(line.unwrap().parse().unwrap()).unwrap(),
    };
    id.gone().await;
}

#[tokio::test]
async fn a_stream_goes_to_the_caller_and_the_log_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(dir.path(), Retention::default());
    let log = store.run("build", 1, Redaction::default());
    let mut lines = Vec::new();
    let spec = shell("printf 'a\\nb'; echo c; echo err >&2; printf 'no newline'");
    let on_line = |stream, line: &str| lines.push((stream, line.to_owned()));
    let outcome = stream(&spec, None, Keep::default(), Some(&log), on_line).await.unwrap();
    assert!(outcome.success());
    let mut out: Vec<&str> = lines.iter().filter(|l| l.0 == Stream::Stdout).map(|l| &*l.1).collect();
    assert_eq!(out, ["a", "bc", "no newline"]);
    assert!(lines.contains(&(Stream::Stderr, "err".into())));
    out.push("err");
    let mut logged = Vec::new();
    let mut follow = store.read(&Query::default());
    while let Some(record) = follow.next().await {
        logged.push(String::from_utf8(record.bytes).unwrap());
    }
    logged.sort();
    out.sort_unstable();
    assert_eq!(logged, out);
}
