use super::*;
use crate::engine::{NO_PRODUCT, Verdict};
use crate::plan::Condition::Healthy;

fn changed(nodes: &[NodePlan], source: &str) -> Event {
    let mut up = up(nodes);
    for stamp in up.sources.values_mut() {
        source.clone_into(stamp);
    }
    Event::Up(up)
}

fn saved(node: &str, source: &str, what: &str) -> Event {
    Event::Changed {
        node: node.into(),
        source: source.to_owned(),
        what: what.to_owned(),
    }
}

#[test]
fn a_build_runs_while_the_node_waits_for_others() {
    let mut story = Story::new();
    story.up(&[node("api").built().needs("db", Healthy), node("db").tested()]);
    assert_eq!(
        story.why("api"),
        "building for 0 s; waiting for db (starting, 0 s of 30 s)"
    );
    story.built("api", "x1");
    story.ready("db");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | api create
      | db create
      build api #1
      | api building
      | db starting
      start db #2
     0.00 api build #1 made x1
      | api built in 0 s
     0.00 db #2 started
      | db started
      probe db #2
     0.00 db #2 test passed
      | db ready after 0 s
      | api starting
      start api #3
    ");
}

#[test]
fn an_image_that_nobody_wants_is_built_with_what_starts_from_it() {
    let mut story = Story::new();
    let api = node("api").built().with(|node| node.built_after = vec!["base".into()]);
    story.up(&[api]);
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | api create
      build api #1 with base
      | api building
    ");
}

#[test]
fn an_image_is_built_before_what_starts_from_it() {
    let mut story = Story::new();
    let api = node("api").built().with(|node| node.built_after = vec!["base".into()]);
    story.up(&[api, node("base").built()]);
    story.built("base", "b1");
    story.built("api", "a1");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | api create
      | base create
      build base #1
      | base building
     0.00 base build #1 made b1
      | base built in 0 s
      build api #2
      | api building
      | base starting
      start base #3
     0.00 api build #2 made a1
      | api built in 0 s
      | api starting
      start api #4
    ");
}

#[test]
fn unchanged_sources_are_not_built_and_an_equal_product_replaces_nothing() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.up(&nodes);
    story.built("api", "x1");
    story.started("api");
    story.told();
    story.up(&nodes);
    story.step("up with a comment changed", changed(&nodes, "s2"));
    story.built("api", "x1");
    story.step("up with code changed", changed(&nodes, "s3"));
    story.built("api", "x2");
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
     0.00 up with a comment changed
      | api build: its sources have changed
      build api #3
      | api building
     0.00 api build #3 made x1
      | api built in 0 s, nothing changed
     0.00 up with code changed
      | api build: its sources have changed
      build api #4
      | api building
     0.00 api build #4 made x2
      | api built in 0 s
      stop api #2 within 10 s
      | api stopping: built anew
    ");
}

#[test]
fn a_failed_build_keeps_the_old_run() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.up(&nodes);
    story.built("api", "x1");
    story.started("api");
    story.step("edited", changed(&nodes, "s2"));
    story.told();
    story.build_failed("api");
    insta::assert_snapshot!(story.told(), @r"
     0.00 api build #3 failed
      | api build failed, the run from before still serves: `cargo build` exited with 101
    ");
    assert!(matches!(
        story.state.verdict(&["api".into()], story.now),
        Verdict::Failed(_)
    ));
}

#[test]
fn a_failed_first_build_is_tried_again_when_asked() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.up(&nodes);
    story.build_failed("api");
    assert!(matches!(
        story.state.verdict(&["api".into()], story.now),
        Verdict::Failed(_)
    ));
    story.told();
    story.up(&nodes);
    assert!(story.told().contains("build api"));
}

#[test]
fn an_overtaken_build_is_cancelled() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.up(&nodes);
    story.told();
    story.step("edited meanwhile", changed(&nodes, "s2"));
    assert!(story.told().contains("cancel build api #1"));
}

#[test]
fn synced_files_are_told_and_may_ask_for_a_restart() {
    let mut story = Story::new();
    story.up(&[node("web")]);
    story.started("web");
    story.told();
    let synced = |restart, outcome| Event::Synced {
        node: "web".into(),
        run: 1,
        what: "index.html changed".to_owned(),
        outcome,
        took: Duration::from_millis(20),
        restart,
    };
    story.step("synced", synced(false, Ok(())));
    story.step("not synced", synced(true, Err(Failure::new("no room"))));
    story.step("synced", synced(true, Ok(())));
    insta::assert_snapshot!(story.told(), @r"
     0.00 synced
      | web synced in 20 ms: index.html changed
     0.00 not synced
      | web not synced: no room
     0.00 synced
      | web synced in 20 ms: index.html changed
      stop web #1 within 10 s
      | web stopping: index.html changed
    ");
}

#[test]
fn a_save_builds_and_swaps_and_says_what_was_changed() {
    let mut story = Story::new();
    story.up(&[node("api").built().tested().overlapping()]);
    story.built("api", "x1");
    story.ready("api");
    story.told();
    let save = |source: &str| saved("api", source, "src/api.rs");
    story.step("saved", save("s2"));
    story.step("the same again", save("s2"));
    story.after(800).built("api", "x2");
    story.after(100).started("api");
    story.after(100).probed("api", true);
    insta::assert_snapshot!(story.told(), @r"
     0.00 saved
      build api #3
      | api building
     0.00 the same again
     0.80 api build #3 made x2
      | api built in 0.8 s
      | api starting: src/api.rs changed
      start api #4
     0.90 api #4 started
      | api started
      probe api #4
     1.00 api #4 test passed
      | api ready after 0.1 s
      | api reloaded in 1 s: src/api.rs changed (build 0.8 s, swap 0.2 s)
      stop api #2 within 10 s, after draining
      | api stopping: a newer run serves
    ");
}

#[test]
fn a_save_while_the_new_run_starts_overtakes_it() {
    let mut story = Story::new();
    story.up(&[node("api").built().tested().overlapping()]);
    story.built("api", "x1");
    story.ready("api");
    let save = |source: &str| saved("api", source, &format!("src/{source}.rs"));
    story.step("saved", save("s2"));
    story.after(800).built("api", "x2");
    story.after(100).started("api");
    story.told();
    story.step("saved again", save("s3"));
    story.after(800).built("api", "x3");
    insta::assert_snapshot!(story.told(), @r"
     0.90 saved again
      build api #5
      | api building
     1.70 api build #5 made x3
      | api built in 0.8 s
      stop api #4 within 10 s
      | api stopping: newer sources have overtaken it
      | api starting: src/s3.rs changed
      start api #6
    ");
    // What was starting is as good as what serves: there is nothing to replace.
    story.step("taken back", save("s1"));
    story.after(800).built("api", "x1");
    insta::assert_snapshot!(story.told(), @r"
     1.70 taken back
      build api #7
      | api building
     2.50 api build #7 made x1
      | api built in 0.8 s
      stop api #6 within 10 s
      | api stopping: newer sources have overtaken it
    ");
}

#[test]
fn a_save_replaces_what_runs_its_sources_as_they_are() {
    let mut story = Story::new();
    story.up(&[node("web").tested().overlapping()]);
    story.ready("web");
    story.told();
    let save = |what: &str| saved("web", what, what);
    story.step("saved", save("app.js"));
    story.after(100).started("web");
    story.step("saved again", save("2 files"));
    story.after(100).started("web");
    story.after(100).probed("web", true);
    insta::assert_snapshot!(story.told(), @r"
     0.00 saved
      | web starting: app.js changed
      start web #2
     0.10 web #2 started
      | web started
      probe web #2
     0.10 saved again
      stop web #2 within 10 s
      | web stopping: newer sources have overtaken it
      | web starting: 2 files changed
      start web #3
     0.20 web #3 started
      | web started
      probe web #3
     0.30 web #3 test passed
      | web ready after 0.1 s
      | web reloaded in 0.2 s: 2 files changed (swap 0.2 s)
      stop web #1 within 10 s, after draining
      | web stopping: a newer run serves
    ");
    for (run, code) in [(2, 0), (1, 0), (3, 1)] {
        story.exited_run("web", run, code);
    }
    story.told();
    story.step("saved", save("app.js"));
    insta::assert_snapshot!(story.told(), @r"
     0.30 saved
      | web starting
      start web #4
    ");
}

#[test]
fn a_save_after_a_failed_first_build_tries_again() {
    let mut story = Story::new();
    story.up(&[node("api").built()]);
    story.build_failed("api");
    story.told();
    story.step("saved", saved("api", "s2", "2 files"));
    assert!(story.told().contains("build api"));
    story.built("api", "x1");
    assert!(story.told().contains("start api"));
}

#[test]
fn a_build_whose_product_cannot_be_seen_is_not_repeated_for_the_same_sources() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.up(&nodes);
    let build = story.building("api");
    let outcome = Ok(Built::default());
    story.step(
        "built",
        Event::Built {
            node: "api".into(),
            build,
            outcome,
        },
    );
    story.started("api");
    story.told();
    story.up(&nodes);
    insta::assert_snapshot!(story.told(), @" 0.00 up");
}

#[test]
fn sources_whose_product_is_made_by_now_are_not_built_again() {
    let mut story = Story::new();
    let nodes = [node("api").built()];
    story.step("up without a product", changed(&nodes, &format!("s1{NO_PRODUCT}")));
    story.built("api", "x1");
    story.started("api");
    story.told();
    story.step("up", changed(&nodes, "s1"));
    insta::assert_snapshot!(story.told(), @" 0.00 up");
    // It was deleted: then it is built again.
    story.step("up without a product", changed(&nodes, &format!("s1{NO_PRODUCT}")));
    assert!(story.told().contains("build api"));
}

#[test]
fn a_node_that_is_not_built_any_more_waits_for_no_build_of_before() {
    let mut story = Story::new();
    story.up(&[node("api").hash("a container")]);
    story.started("api");
    story.told();
    let process = [node("api").built().hash("a process")];
    let unknown = || {
        let mut up = up(&process);
        up.sources.clear();
        Event::Up(up)
    };
    // Nobody knows its sources, and the run that is there was made otherwise.
    story.step("up as a process", unknown());
    story.up(&[node("api").hash("a container")]);
    // Back before it came to anything: the run that is there is what is wanted.
    insta::assert_snapshot!(story.told(), @r"
     0.00 up as a process
      | api recreate: its configuration has changed
      build api #2
      | api building
     0.00 up
      cancel build api #2
    ");
}
