//! The store as its users see it: written by runs, read by queries, from the files alone.

use std::fs;
use std::io::Write as _;

use super::*;

fn store(dir: &tempfile::TempDir) -> LogStore {
    LogStore::new(dir.path(), Retention::default())
}

async fn texts(mut follow: Follow) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(record) = follow.next().await {
        found.push(format!("{} {}", record.node, String::from_utf8_lossy(&record.bytes)));
    }
    found
}

#[tokio::test]
async fn nodes_and_runs_are_merged_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (a, b) = (
        store.run("a", 1, Redaction::default()),
        store.run("b", 1, Redaction::default()),
    );
    a.line(Stream::Stdout, b"one");
    b.line(Stream::Stderr, b"two");
    a.line(Stream::Devctl, b"three\nfour\n");
    store.run("a", 2, Redaction::default()).line(Stream::Stdout, b"five");
    // A store of its own, as `devctl logs` after `down` has it.
    let later = LogStore::new(dir.path(), Retention::default());
    assert_eq!(
        texts(later.read(&Query::default())).await,
        ["a one", "b two", "a three", "a four", "a five"]
    );
    assert_eq!(later.nodes().unwrap(), ["a", "b"]);
    assert_eq!((later.last_run("a"), later.last_run("none")), (Some(2), None));
}

#[tokio::test]
async fn queries_narrow_by_node_run_stream_text_time_and_tail() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for run in 1..=2 {
        let log = store.run("a", run, Redaction::default());
        for number in 0..5 {
            log.line(Stream::Stdout, format!("{run}.{number}").as_bytes());
        }
        log.line(Stream::Stderr, format!("{run} failed").as_bytes());
    }
    store.run("b", 1, Redaction::default()).line(Stream::Stdout, b"other");
    let all = Query {
        nodes: vec!["a".into()],
        ..Query::default()
    };
    let ask = |query: Query| texts(store.read(&query));
    assert_eq!(
        ask(Query {
            run: Some(2),
            tail: Some(2),
            ..all.clone()
        })
        .await,
        ["a 2.4", "a 2 failed"]
    );
    assert_eq!(
        ask(Query {
            streams: vec![Stream::Stderr],
            ..all.clone()
        })
        .await,
        ["a 1 failed", "a 2 failed"]
    );
    let grep = Some(regex::bytes::Regex::new("[.][34]").unwrap());
    assert_eq!(
        ask(Query {
            grep,
            tail: Some(3),
            ..all.clone()
        })
        .await,
        ["a 1.4", "a 2.3", "a 2.4"]
    );
    assert_eq!(
        ask(Query {
            tail: Some(0),
            ..all.clone()
        })
        .await,
        Vec::<String>::new()
    );
    assert_eq!(
        ask(Query {
            tail: Some(1),
            ..Query::default()
        })
        .await,
        ["a 2 failed", "b other"]
    );

    let mut records = store.read(&all);
    let mut times = Vec::new();
    while let Some(record) = records.next().await {
        times.push(record.time);
    }
    let window = Query {
        since: Some(times[4]),
        until: Some(times[6]),
        ..all
    };
    assert_eq!(ask(window).await, ["a 1.4", "a 1 failed", "a 2.0"]);
}

#[tokio::test]
async fn a_follower_gets_what_was_there_and_what_comes_across_runs_and_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(
        dir.path(),
        Retention {
            file_size: 200,
            ..Retention::default()
        },
    );
    store.run("a", 1, Redaction::default()).line(Stream::Stdout, b"before");
    let mut follow = store.follow(&Query::default());
    assert_eq!(follow.next().await.unwrap().bytes, b"before");
    let writer = {
        let store = store.clone();
        std::thread::spawn(move || {
            for run in 2..=4 {
                let log = store.run("a", run, Redaction::default());
                for number in 0..40 {
                    log.line(Stream::Stdout, format!("{run}:{number}").as_bytes());
                }
            }
            store.run("new", 1, Redaction::default()).line(Stream::Stdout, b"end");
        })
    };
    let expected = (2..=4).flat_map(|run| (0..40).map(move |number| format!("{run}:{number}")));
    // The bound on files may remove some before a slow follower opens them; what comes keeps its order.
    let mut found = Vec::new();
    while let Some(record) = follow.next().await {
        if record.node == "new" {
            break;
        }
        found.push(String::from_utf8(record.bytes).unwrap());
    }
    writer.join().unwrap();
    let mut rest = expected.collect::<Vec<_>>().into_iter();
    assert!(
        found.iter().all(|line| rest.any(|other| other == *line)),
        "out of order: {found:?}"
    );
    assert!(found.last().is_some_and(|line| line == "4:39"), "{found:?}");
    assert!(segments::list(&dir.path().join("a")).len() <= 8);
}

#[tokio::test]
async fn a_tail_is_the_same_whether_old_files_are_read_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(
        dir.path(),
        Retention {
            file_size: 300,
            files: 100,
            ..Retention::default()
        },
    );
    // Two runs of one node at once, as in a reload, and one long before.
    let old = dir.path().join("a/1.log");
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    fs::write(&old, "2020-01-01T00:00:00.000000000Z out ancient\n").unwrap();
    let ancient = std::time::SystemTime::from("2020-01-01T00:00:01Z".parse::<Timestamp>().unwrap());
    fs::File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(ancient)
        .unwrap();
    let (two, three) = (
        store.run("a", 2, Redaction::default()),
        store.run("a", 3, Redaction::default()),
    );
    for number in 0..30 {
        two.line(Stream::Stdout, format!("2:{number}").as_bytes());
        three.line(Stream::Stdout, format!("3:{number}").as_bytes());
    }
    let all = texts(store.read(&Query::default())).await;
    assert_eq!(all.len(), 61);
    for count in [1, 2, 7, 59, 60, 61, 100] {
        let tail = texts(store.read(&Query {
            tail: Some(count),
            ..Query::default()
        }))
        .await;
        assert_eq!(tail, all[all.len().saturating_sub(count)..], "{count}");
    }
    let mut follow = store.follow(&Query {
        tail: Some(1),
        ..Query::default()
    });
    assert_eq!(follow.next().await.unwrap().bytes, b"3:29");
    two.line(Stream::Stdout, b"more");
    assert_eq!(follow.next().await.unwrap().bytes, b"more");
}

#[tokio::test]
async fn following_from_the_end_shows_only_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let log = store.run("a", 1, Redaction::default());
    log.line(Stream::Stdout, b"old");
    let mut follow = store.follow(&Query {
        tail: Some(0),
        ..Query::default()
    });
    log.line(Stream::Stdout, b"new");
    assert_eq!(follow.next().await.unwrap().bytes, b"new");
}

#[tokio::test]
async fn a_line_of_any_length_comes_back_whole_and_a_secret_across_a_cut_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let log = store.run("a", 1, Redaction::new(["hunter2-secret"]));
    let mut text = vec![b'x'; format::LONGEST - 5];
    text.extend_from_slice(b"hunter2-secret");
    text.extend(vec![b'y'; 3 * format::LONGEST]);
    let mut sink = log.sink(Stream::Stdout);
    for piece in text.chunks(1000) {
        sink.push(piece);
    }
    sink.push(b"\nnext hunter2-secret\npartial");
    sink.finish();
    let mut lines = vec![Vec::new()];
    let mut follow = store.read(&Query::default());
    while let Some(record) = follow.next().await {
        assert!(record.bytes.len() <= format::LONGEST);
        lines.last_mut().unwrap().extend_from_slice(&record.bytes);
        if !record.continues {
            lines.push(Vec::new());
        }
    }
    let whole = String::from_utf8(lines[0].clone()).unwrap();
    assert_eq!(whole.len(), text.len() - "hunter2-secret".len() + 3);
    assert!(whole.contains("xx***yy"));
    assert_eq!(lines[1], b"next ***");
    assert_eq!(lines[2], b"partial");
}

#[tokio::test]
async fn what_a_killed_daemon_left_unfinished_spoils_nothing() {
    let dir = tempfile::tempdir().unwrap();
    store(&dir)
        .run("a", 1, Redaction::default())
        .line(Stream::Stdout, b"whole");
    let path = dir.path().join("a/1.log");
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"2026-11-23T09:38:00.000000001Z out cut o").unwrap();
    assert_eq!(texts(store(&dir).read(&Query::default())).await.len(), 2);
    store(&dir)
        .run("a", 1, Redaction::default())
        .line(Stream::Stdout, b"after");
    let found = texts(store(&dir).read(&Query {
        tail: Some(9),
        ..Query::default()
    }))
    .await;
    assert_eq!(
        found
            .iter()
            .filter(|line| *line == "a whole" || *line == "a after")
            .count(),
        2,
        "{found:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_counted_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a file where the directory should be").unwrap();
    let store = store(&dir);
    let mut losing = store.losing();
    let log = store.run("a", 1, Redaction::default());
    assert_eq!((log.lost(), losing.borrow_and_update().clone()), (None, None));
    log.line(Stream::Stdout, b"one\ntwo");
    assert_eq!(log.lost().unwrap().records, 2);
    assert!(losing.has_changed().unwrap());
    assert_eq!(losing.borrow_and_update().as_ref().unwrap().node, "a");
    log.line(Stream::Stdout, b"three");
    assert!(!losing.has_changed().unwrap(), "told once");
    store.run("b", 1, Redaction::default()).line(Stream::Stdout, b"one");
    assert_eq!(*losing.borrow_and_update(), None, "something is stored again");
}
