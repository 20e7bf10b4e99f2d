use super::*;
use crate::engine::Serving;
use crate::plan::Condition::Healthy;

#[test]
fn a_second_up_changes_nothing() {
    let mut story = Story::new();
    let nodes = [node("a").tested()];
    story.up(&nodes);
    story.ready("a");
    story.told();
    story.up(&nodes);
    insta::assert_snapshot!(story.told(), @" 0.00 up");
}

#[test]
fn overlap_serves_all_the_time() {
    let mut story = Story::new();
    story.up(&[node("a").tested().overlapping()]);
    story.ready("a");
    story.told();
    story.up(&[node("a").tested().overlapping().hash("v2")]);
    story.after(100).started("a");
    assert_eq!(story.state.serving(&"a".into(), story.now), Serving::Run(1));
    story.after(100).probed("a", true);
    assert_eq!(story.state.serving(&"a".into(), story.now), Serving::Run(2));
    story.after(100).exited("a", 0);
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | a recreate: its configuration has changed
      | a starting: its configuration has changed
      start a #2
     0.10 a #2 started
      | a started
      probe a #2
     0.20 a #2 test passed
      | a ready after 0.1 s
      | a reloaded in 0.2 s: its configuration has changed (swap 0.2 s)
      stop a #1 within 10 s, after draining
      | a stopping: a newer run serves
     0.30 a #1 exited with 0
      | a stopped after 0.1 s (exited with 0)
    ");
}

#[test]
fn a_new_run_that_fails_leaves_the_old_one_serving() {
    let mut story = Story::new();
    story.up(&[node("a").tested().overlapping()]);
    story.ready("a");
    story.up(&[node("a").tested().overlapping().hash("v2")]);
    story.started("a");
    story.told();
    story.exited_run("a", 2, 3);
    insta::assert_snapshot!(story.told(), @r"
     0.00 a #2 exited with 3
      | a the new run failed, the old one still serves: it exited with 3 after 0 s
    ");
    assert_eq!(story.state.serving(&"a".into(), story.now), Serving::Run(1));
    let failed = |story: &Story| story.state.node(&"a".into()).and_then(|node| node.not_replaced.clone());
    assert_eq!(failed(&story).as_deref(), Some("it exited with 3 after 0 s"));
    story.up(&[node("a").tested().overlapping().hash("v3")]);
    assert_eq!(failed(&story), None, "another one is on its way");
}

#[test]
fn restart_stops_first_and_callers_wait() {
    let mut story = Story::new();
    story.up(&[node("a").tested()]);
    story.ready("a");
    story.told();
    story.up(&[node("a").tested().hash("v2")]);
    assert_eq!(story.state.serving(&"a".into(), story.now), Serving::Soon);
    story.exited("a", 0);
    story.ready("a");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | a recreate: its configuration has changed
      stop a #1 within 10 s
      | a stopping: its configuration has changed
     0.00 a #1 exited with 0
      | a stopped after 0 s (exited with 0)
      | a starting: its configuration has changed
      start a #2
     0.00 a #2 started
      | a started
      probe a #2
     0.00 a #2 test passed
      | a ready after 0 s
      | a reloaded in 0 s: its configuration has changed (swap 0 s)
    ");
}

#[test]
fn nobody_follows_a_restart_that_is_asked_for_alone() {
    let follower = node("a")
        .needs("db", Healthy)
        .with(|node| node.dependencies[0].restart = true);
    for alone in [true, false] {
        let mut story = Story::new();
        story.up(&[follower.clone(), node("db").tested()]);
        story.ready("db");
        story.started("a");
        let act = Act {
            verb: Verb::Restart,
            nodes: vec!["db".into()],
            grace: None,
            again: Vec::new(),
            alone,
        };
        story.step("restart db", Event::Act(act));
        story.exited("db", 0);
        story.ready("db");
        assert_eq!(story.told().contains("stop a"), !alone);
    }
}

#[test]
fn dependents_follow_a_restart_only_where_the_file_says_so() {
    let follow = node("follows")
        .needs("db", Healthy)
        .with(|node| node.dependencies[0].restart = true);
    let mut story = Story::new();
    story.up(&[follow, node("stays").needs("db", Healthy), node("db").tested()]);
    story.ready("db");
    story.started("follows");
    story.started("stays");
    story.told();
    story.act(Verb::Restart, &["db"]);
    story.exited("db", 0);
    story.ready("db");
    let told = story.told();
    assert!(told.contains("stop follows #2"), "{told}");
    assert!(!told.contains("stop stays"), "{told}");
}

#[test]
fn what_the_files_no_longer_name_stays_until_someone_asks() {
    let mut story = Story::new();
    story.up(&[node("a"), node("old")]);
    story.started("a");
    story.started("old");
    story.told();
    story.up(&[node("a")]);
    story.step(
        "up --remove-orphans",
        Event::Up(Up {
            remove_orphans: true,
            ..up(&[node("a")])
        }),
    );
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | old orphan: the files no longer name it; `--remove-orphans` removes it
     0.00 up --remove-orphans
      | old remove: the files no longer name it
      stop old #2 within 10 s
      | old stopping: it is no longer wanted
    ");
}
