use super::*;
use crate::plan::Condition::{Completed, Healthy};

fn nodes() -> [NodePlan; 3] {
    [
        node("api").needs("seed", Completed),
        node("seed").job().needs("db", Healthy),
        node("db").tested(),
    ]
}

fn seeded() -> Story {
    let mut story = Story::new();
    story.up(&nodes());
    story.started_on("db", "d1");
    story.probed("db", true);
    story.started("seed");
    story.after(500).exited("seed", 0);
    story.started("api");
    story.told();
    story
}

#[test]
fn a_job_is_not_run_again_on_the_same_data() {
    let mut story = seeded();
    story.step("shutdown", Event::Shutdown { kill: true });
    story.exited("api", 0);
    story.exited("db", 0);
    story.told();
    story.up(&nodes());
    story.started_on("db", "d1");
    story.probed("db", true);
    insta::assert_snapshot!(story.told(), @r"
     0.50 up
      | api start
      | db start
      | db starting
      start db #4
     0.50 db #4 started on data d1
      | db started
      probe db #4
     0.50 db #4 test passed
      | db ready after 0 s
      | seed completed before, nothing it depends on is new
      | api starting
      start api #5
    ");
}

#[test]
fn a_job_that_is_asked_for_by_name_runs_again_on_the_same_data() {
    let mut story = seeded();
    story.step(
        "up seed",
        Event::Up(Up {
            again: vec!["seed".into()],
            ..up(&nodes())
        }),
    );
    assert!(story.told().contains("start seed"));
    story.started("seed");
    story.exited("seed", 0);
    story.told();
    story.act(Verb::Start, &["seed"]);
    assert!(
        !story.told().contains("start seed #"),
        "it is only what the named one needs"
    );
    story.step(
        "start seed",
        Event::Act(Act {
            verb: Verb::Start,
            nodes: vec!["seed".into()],
            grace: None,
            again: vec!["seed".into()],
            alone: false,
        }),
    );
    assert!(story.told().contains("start seed"));
}

#[test]
fn what_has_ended_and_nobody_starts_again_is_over() {
    let over = |story: &Story| story.state.is_over(story.now);
    let mut story = seeded();
    assert!(!over(&story), "api and db run");
    story.exited("db", 1);
    assert!(!over(&story));
    story.exited("api", 0);
    assert!(over(&story));
    story.act(Verb::Start, &["db"]);
    assert!(!over(&story));

    let mut story = Story::new();
    story.up(&[node("api").needs("job", Completed), node("job").job()]);
    story.started("job");
    story.exited("job", 3);
    assert!(over(&story), "api waits for what has failed");
}

#[test]
fn a_job_is_run_again_when_its_data_is_new() {
    let mut story = seeded();
    story.step("shutdown", Event::Shutdown { kill: true });
    story.exited("api", 0);
    story.exited("db", 0);
    story.up(&nodes());
    story.told();
    story.started_on("db", "d2");
    story.probed("db", true);
    assert!(story.told().contains("start seed"));
}

#[test]
fn a_failed_job_fails_who_needs_it() {
    let mut story = Story::new();
    story.up(&nodes());
    story.started_on("db", "d1");
    story.probed("db", true);
    story.started("seed");
    story.told();
    story.exited("seed", 7);
    insta::assert_snapshot!(story.told(), @r"
     0.00 seed #2 exited with 7
      | seed exited with 7
      | api cannot start: it needs seed, which exited with 7
    ");
}

#[test]
fn a_changed_job_is_run_again() {
    let mut story = seeded();
    let mut changed = nodes();
    changed[1].hash = ContentHash("v2".to_owned());
    story.up(&changed);
    assert!(story.told().contains("start seed"));
}

#[test]
fn down_without_volumes_forgets_no_work_that_is_in_them() {
    for (volumes, again) in [(false, false), (true, true)] {
        let mut story = seeded();
        story.step(
            "down",
            Event::Down(Down {
                volumes,
                kill: true,
                ..Down::default()
            }),
        );
        story.exited("api", 0);
        story.exited("db", 0);
        for name in ["api", "seed", "db"] {
            story.step("removed", Event::Removed { node: name.into() });
        }
        assert_eq!(story.state.nodes().count(), 0);
        story.up(&nodes());
        story.told();
        story.started_on("db", if volumes { "d2" } else { "d1" });
        story.probed("db", true);
        assert_eq!(story.told().contains("start seed"), again);
    }
}
