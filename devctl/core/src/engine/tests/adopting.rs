//! What an earlier daemon left running is taken over: not started, not held back, replaced only if the files say otherwise.

use super::*;
use crate::engine::Found;

fn found(name: &str, hash: &str, number: Option<u64>) -> Found {
    Found {
        node: name.into(),
        hash: ContentHash(hash.to_owned()),
        number,
        artefact: None,
        paused: false,
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

/// db <- auth <- seed <- api, seeded and then killed: what the next daemon knows is what was kept.
fn seeded_before() -> (Story, [NodePlan; 4]) {
    let nodes = [
        node("db").tested(),
        node("auth").needs("db", Condition::Healthy).tested(),
        node("seed").job().needs("auth", Condition::Healthy),
        node("api").needs("seed", Condition::Completed),
    ];
    let mut story = Story::new();
    let completion = crate::engine::Completion {
        hash: ContentHash("v1".to_owned()),
        artefact: None,
        inputs: [("db".to_owned(), "d1".to_owned())].into(),
    };
    let memory = crate::engine::Memory {
        completion: Some(completion),
        ..crate::engine::Memory::default()
    };
    story.state.remember("seed".into(), memory);
    (story, nodes)
}

#[test]
fn a_job_that_was_done_waits_until_its_data_has_been_looked_at() {
    for (data, again) in [("d1", false), ("d2", true)] {
        let (mut story, nodes) = seeded_before();
        let mut wanted = up(&nodes);
        wanted.found = [("db", 1), ("auth", 2), ("api", 4)]
            .map(|(name, number)| found(name, "v1", Some(number)))
            .to_vec();
        story.step("up, and all but the job runs", Event::Up(wanted));
        // What it depends on may be looked at before what that depends on.
        story.ready("auth");
        assert_eq!(story.why("seed"), "waiting for db (starting, 0 s of 30 s)");
        story.told();
        story.started_on("db", data);
        assert_eq!(story.told().contains("start seed"), again, "on {data}");
    }
}

#[test]
fn what_would_be_done_says_so_of_a_job_that_was_done() {
    let (story, nodes) = seeded_before();
    let mut wanted = up(&nodes);
    wanted.found = vec![found("db", "v1", None), found("auth", "v1", None)];
    let action = |up: &Up| {
        let all = crate::plan::changes(up, &story.state);
        let seed = all.into_iter().find(|change| change.node == "seed".into());
        seed.expect("it is in the plan").action
    };
    assert_eq!(action(&wanted), crate::plan::Action::Keep);
    wanted.found.remove(0);
    assert_eq!(action(&wanted), crate::plan::Action::Create, "its data may be new");
}

#[test]
fn what_was_built_from_these_sources_is_not_built_again() {
    let mut story = Story::new();
    let memory = crate::engine::Memory {
        stamp: Some("s1".to_owned()),
        artefact: Some(ContentHash("image".to_owned())),
        ..crate::engine::Memory::default()
    };
    story.state.remember("api".into(), memory);
    let mut wanted = up(&[node("api").built()]);
    let mut there = found("api", "v1", Some(7));
    there.artefact = Some(ContentHash("image".to_owned()));
    wanted.found = vec![there];
    story.step("up", Event::Up(wanted));
    let told = story.told();
    assert!(!told.contains("build api"), "{told}");
    assert!(story.state.node(&"api".into()).unwrap().run.as_ref().unwrap().adopted);
}

#[test]
fn what_was_held_still_goes_on_where_an_up_covers_it() {
    let mut story = Story::new();
    let mut wanted = up(&[node("api").tested(), node("db").tested()]);
    wanted.scope = vec!["api".into()];
    wanted.found = ["api", "db"]
        .map(|name| crate::engine::Found {
            paused: true,
            ..found(name, "v1", None)
        })
        .to_vec();
    story.step("up api", Event::Up(wanted));
    story.started("api");
    story.started("db");
    let verdict = story.state.verdict(&["api".into()], story.now);
    assert_eq!(verdict, crate::engine::Verdict::Pending);
    let event = Event::Held {
        node: "api".into(),
        run: 1,
        still: false,
        outcome: Ok(()),
    };
    story.step("api goes on", event);
    insta::assert_snapshot!(story.told(), @r"
     0.00 up api
      | api runs already, and is taken over
      adopt api #1
      | db runs already, and is taken over
      adopt db #2
     0.00 api #1 started
      | api started
      hold api #1 still: false
     0.00 db #2 started
      | db started
     0.00 api goes on
      | api goes on after 0 s
      probe api #1
    ");
    assert_eq!(
        story.state.status(&"db".into(), story.now),
        crate::engine::Status::Paused
    );
}
