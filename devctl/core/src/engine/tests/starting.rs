use super::*;
use crate::engine::CriticalPath;
use crate::engine::{Serving, Verdict};
use crate::plan::Condition::{Healthy, Started as Running};

#[test]
fn each_starts_when_what_it_needs_is_there_and_says_so_before() {
    let mut story = Story::new();
    let nodes = [
        node("web").needs("api", Healthy),
        node("api").needs("db", Healthy).tested(),
        node("db").tested(),
    ];
    story.up(&nodes);
    assert_eq!(story.why("web"), "waiting for api (waiting)");
    story.after(100).started("db");
    story.after(300);
    assert_eq!(story.why("api"), "waiting for db (starting, 0.3 s of 30 s)");
    story.probed("db", true);
    story.after(10).ready("api");
    story.after(10).started("web");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | web create
      | api create
      | db create
      | db starting
      start db #1
     0.10 db #1 started
      | db started
      probe db #1
     0.40 db #1 test passed
      | db ready after 0.3 s
      | api starting
      start api #2
     0.41 api #2 started
      | api started
      probe api #2
     0.41 api #2 test passed
      | api ready after 0 s
      | web starting
      start web #3
     0.42 web #3 started
      | web started
    ");
    let scope: Vec<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
    assert_eq!(story.state.verdict(&scope, story.now), Verdict::Ready);
}

#[test]
fn late_words_of_an_old_run_change_nothing() {
    let mut story = Story::new();
    story.up(&[node("a").tested()]);
    story.ready("a");
    story.act(Verb::Restart, &["a"]);
    story.exited("a", 0);
    story.told();
    story.step(
        "old run again",
        Event::Exited {
            node: "a".into(),
            run: 1,
            exit: Exit::Code(1),
        },
    );
    story.step(
        "old test",
        Event::Probed {
            node: "a".into(),
            run: 1,
            ok: true,
            output: String::new(),
        },
    );
    insta::assert_snapshot!(story.told(), @r"
     0.00 old run again
     0.00 old test
    ");
    assert_eq!(story.state.serving(&"a".into(), story.now), Serving::Soon);
}

#[test]
fn a_node_that_cannot_start_fails_those_who_need_it_and_says_which() {
    let mut story = Story::new();
    let nodes = [
        node("web").needs("api", Running),
        node("api").needs("db", Healthy),
        node("db").tested(),
    ];
    story.up(&nodes);
    story.start_failed("db", "`postgres` was not found");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | web create
      | api create
      | db create
      | db starting
      start db #1
     0.00 db #1 could not start
      | db failed to start: `postgres` was not found
      | web cannot start: it needs api, which needs db, which failed to start: `postgres` was not found
      | api cannot start: it needs db, which failed to start: `postgres` was not found
    ");
    let scope: Vec<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
    let Verdict::Failed(failed) = story.state.verdict(&scope, story.now) else {
        panic!("not failed")
    };
    assert_eq!(failed.len(), 3);
}

#[test]
fn what_is_not_required_is_passed_over_when_it_fails() {
    let mut story = Story::new();
    let api = node("api")
        .needs("cache", Running)
        .with(|node| node.dependencies[0].required = false);
    story.up(&[api, node("cache")]);
    story.start_failed("cache", "`redis` was not found");
    assert!(story.told().contains("start api"));
}

#[test]
fn a_crash_is_answered_by_the_restart_policy_with_growing_waits() {
    let mut story = Story::new();
    story.up(&[node("a").restarting(RestartPolicy::OnFailure(Some(2)))]);
    story.started("a");
    story.told();
    story.after(50).exited("a", 1);
    story.tick();
    story.started("a");
    story.after(50).exited("a", 1);
    story.tick();
    story.started("a");
    story.after(50).exited("a", 1);
    insta::assert_snapshot!(story.told(), @r"
     0.05 a #1 exited with 1
      | a exited with 1, starting again in 0.1 s (restart 1)
     0.15 tick
      | a starting
      start a #2
     0.15 a #2 started
      | a started
     0.20 a #2 exited with 1
      | a exited with 1, starting again in 0.2 s (restart 2)
     0.40 tick
      | a starting
      start a #3
     0.40 a #3 started
      | a started
     0.45 a #3 exited with 1
      | a exited with 1
    ");
    assert_eq!(story.why("a"), "exited with 1");
}

#[test]
fn the_critical_path_names_the_chain_that_the_start_waited_for() {
    let mut story = Story::new();
    let nodes = [
        node("api").needs("db", Healthy).needs("mq", Healthy).tested(),
        node("db").tested(),
        node("mq").tested(),
    ];
    story.up(&nodes);
    story.after(10).started("db");
    story.started("mq");
    story.after(500).probed("db", true);
    story.after(3000).probed("mq", true);
    story.after(20).started("api");
    story.after(200).probed("api", true);
    let scope: Vec<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
    let path = story
        .state
        .critical_path(&scope, Time::default())
        .expect("nothing was started");
    let steps: Vec<String> = path
        .steps
        .iter()
        .map(|step| format!("{} {} {} ms", step.node, step.phase.word(), step.took.as_millis()))
        .collect();
    assert_eq!(steps, ["mq boot 3500 ms", "api boot 200 ms"]);
    assert_eq!(path.total.as_millis(), 3730);
    assert_eq!(path.own.as_millis(), 30);
}

/// A service that gets another runtime: it is built anew, for a long time, and then takes its own place.
fn moved(swap: impl Fn(NodePlan) -> NodePlan) -> CriticalPath {
    let mut story = Story::new();
    story.up(&[swap(node("api").built())]);
    story.built("api", "binary");
    story.started("api");
    story.after(60_000);
    let since = story.now;
    let mut wanted = up(&[swap(node("api").built().hash("container"))]);
    wanted.sources = [("api".into(), "s2".to_owned())].into();
    story.step("up", Event::Up(wanted));
    story.after(40_000).built("api", "image");
    let overlaps = story.state.node(&"api".into()).unwrap().next.is_some();
    if overlaps {
        story.after(500).started("api");
    } else {
        story.after(2_000).exited("api", 0);
        story.after(500).started("api");
    }
    story
        .state
        .critical_path(&["api".into()], since)
        .expect("it was started")
}

#[test]
fn what_takes_its_own_place_tells_its_build_and_its_end() {
    let told = |path: &CriticalPath| {
        let steps = path.steps.iter();
        let steps: Vec<String> = steps
            .map(|step| format!("{} {} s", step.phase.word(), step.took.as_secs_f64()))
            .collect();
        format!("{}; own {} s", steps.join(", "), path.own.as_secs_f64())
    };
    assert_eq!(told(&moved(|node| node)), "build 40 s, stop 2 s; own 0.5 s");
    assert_eq!(told(&moved(Wording::overlapping)), "build 40 s; own 0.5 s");
}
