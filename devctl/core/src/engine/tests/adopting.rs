//! What an earlier daemon left running is taken over: not started, not held back, replaced only if the files say otherwise.

use super::*;
use crate::engine::Found;

fn found(name: &str, hash: &str, number: Option<u64>) -> Found {
    Found {
        node: name.into(),
        hash: ContentHash(hash.to_owned()),
        number,
        artefact: None,
    }
}

#[test]
fn what_runs_is_taken_over_and_only_the_rest_is_started() {
    let mut story = Story::new();
    let mut wanted = up(&[
        node("db").tested(),
        node("api").needs("db", Condition::Healthy).tested(),
    ]);
    wanted.found = vec![found("api", "v1", Some(7))];
    story.step("up, and api runs already", Event::Up(wanted));
    let effects = &story.transcript;
    assert!(effects.contains("adopt api #7"), "{effects}");
    assert!(!effects.contains("start api"), "{effects}");
    assert!(effects.contains("start db #8"), "{effects}");
    assert!(!effects.contains("stop"), "{effects}");
}

#[test]
fn what_is_not_as_the_files_say_is_taken_over_and_then_replaced() {
    let mut story = Story::new();
    let mut wanted = up(&[node("api").hash("v2")]);
    wanted.found = vec![found("api", "v1", Some(3))];
    story.step("up", Event::Up(wanted));
    story.step(
        "api is there",
        Event::Started {
            node: "api".into(),
            run: 3,
            started: Started::default(),
        },
    );
    let told = &story.transcript;
    assert!(told.contains("adopt api #3"), "{told}");
    assert!(told.contains("stop api #3"), "{told}");
}

#[test]
fn a_run_that_this_daemon_knows_is_not_adopted_again() {
    let mut story = Story::new();
    story.step("up", Event::Up(up(&[node("api")])));
    let mut again = up(&[node("api")]);
    again.found = vec![found("api", "v1", None)];
    story.step("up again", Event::Up(again));
    assert!(!story.transcript.contains("adopt"), "{}", story.transcript);
}

#[test]
fn what_no_file_names_is_an_orphan_that_runs_and_goes_when_asked() {
    let mut story = Story::new();
    let mut wanted = up(&[node("api")]);
    wanted.found = vec![found("old", "v1", None)];
    wanted.remove_orphans = true;
    story.step("up", Event::Up(wanted));
    let told = &story.transcript;
    assert!(told.contains("adopt old"), "{told}");
    assert!(told.contains("stop old"), "{told}");
}

#[test]
fn what_ended_with_its_engine_is_started_again_whatever_its_policy() {
    let mut story = Story::new();
    story.step("up", Event::Up(up(&[node("api").restarting(RestartPolicy::No)])));
    story.step(
        "api is there",
        Event::Started {
            node: "api".into(),
            run: 1,
            started: Started::default(),
        },
    );
    story.step(
        "the engine went away with it",
        Event::Exited {
            node: "api".into(),
            run: 1,
            exit: Exit::WithEngine,
        },
    );
    assert!(story.transcript.contains("start api #2"), "{}", story.transcript);
}
