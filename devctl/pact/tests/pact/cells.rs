//! Verdicts outlive the process: whole or not at all, never more than they should, and never what is not known.

use std::fs;
use std::time::{Duration, SystemTime};

use devctl_pact::cells::{Cell, Key, Store};
use devctl_pact::difference::{Difference, Part};
use devctl_pact::verify::{Exchange, Outcome, Verdict, Why};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{contract, http, pact};

fn outcomes() -> Vec<Outcome> {
    let mut difference = Difference::new(Part::Body, "$.id", "1", "\"x\"", "differs".to_owned());
    difference.rule = Some("must be an integer".to_owned());
    let mismatches = vec![difference];
    let why = || Why::State {
        what: "find it".to_owned(),
        help: None,
    };
    let verdicts = [
        Verdict::Passed,
        Verdict::Broken {
            mismatches: mismatches.clone(),
        },
        Verdict::Pending { mismatches, why: None },
        Verdict::Pending {
            mismatches: Vec::new(),
            why: Some(why()),
        },
        Verdict::CouldNotRun { why: why() },
    ];
    let one = |at: usize| {
        http(
            &format!("item {at}"),
            &json!({"method": "GET", "path": "/a"}),
            &json!({"status": 200}),
        )
    };
    let interactions: Vec<Value> = (0..verdicts.len()).map(one).collect();
    let contract = contract(&pact(&interactions.into()));
    let pairs = contract.interactions.iter().zip(verdicts);
    pairs
        .map(|(interaction, verdict)| {
            let mut outcome = Outcome::new(&contract, interaction, verdict, Duration::from_micros(1_234));
            outcome.exchange = Some(Exchange {
                request: "GET /a".to_owned(),
                answer: "200".to_owned(),
                ..Exchange::default()
            });
            outcome.logs = vec!["a line".to_owned()];
            outcome.trace = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
            outcome
        })
        .collect()
}

fn key(text: &str) -> Key {
    Key(text.to_owned())
}

fn cell() -> Cell {
    let mut cell = Cell::default();
    for outcome in outcomes() {
        cell.keep(&outcome);
    }
    cell
}

#[test]
fn what_is_known_is_read_again_and_what_is_not_known_was_never_written() {
    let folder = TempDir::new().unwrap();
    let store = Store::new(folder.path().join("cells"));
    assert!(store.read(&key("ab")).is_empty(), "nothing there is nothing known");
    store.write(&key("ab"), &cell()).unwrap();
    let read = Store::new(folder.path().join("cells")).read(&key("ab"));
    for (at, written) in outcomes().into_iter().enumerate() {
        let found = read.find(&written.interaction);
        if at < 3 {
            assert_eq!(
                found.unwrap(),
                Outcome {
                    cached: true,
                    ..written
                }
            );
        } else {
            assert_eq!(found, None, "{}", written.verdict);
        }
    }
    assert!(store.read(&key("cd")).is_empty());
    let text = fs::read_to_string(folder.path().join("cells/ab.json")).unwrap();
    assert!(!text.contains("could-not-run"));
}

#[test]
fn a_cell_of_which_nothing_is_known_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let mut cell = Cell::default();
    assert!(!cell.keep(&outcomes()[4]));
    Store::new(folder.path()).write(&key("ab"), &cell).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_one_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    let store = Store::new(folder.path());
    store.write(&key("ab"), &cell()).unwrap();
    let path = folder.path().join("ab.json");
    let whole = fs::read_to_string(&path).unwrap();
    for damaged in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("passed", "broken"),
        whole.replace("\"version\":1", "\"version\":0"),
        whole.replace("\"key\":\"ab\"", "\"key\":\"cd\""),
    ] {
        assert_ne!(damaged, whole);
        fs::write(&path, damaged).unwrap();
        assert!(store.read(&key("ab")).is_empty());
    }
    store.write(&key("ab"), &cell()).unwrap();
    assert!(!store.read(&key("ab")).is_empty(), "and is written anew");
}

#[test]
fn the_cell_that_was_used_longest_ago_goes_first() {
    let folder = TempDir::new().unwrap();
    let store = Store::new(folder.path()).holding(2);
    let age = |name: &str, seconds: u64| {
        let file = fs::File::options()
            .append(true)
            .open(folder.path().join(format!("{name}.json")));
        file.unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    };
    store.write(&key("a"), &cell()).unwrap();
    store.write(&key("b"), &cell()).unwrap();
    age("a", 100);
    age("b", 50);
    assert!(!store.read(&key("a")).is_empty(), "used now, though it is older");
    store.write(&key("c"), &cell()).unwrap();
    assert!(!store.read(&key("a")).is_empty());
    assert!(store.read(&key("b")).is_empty());
    assert!(!store.read(&key("c")).is_empty());
}
