use super::*;
use crate::plan::Condition::Healthy;

fn three() -> [NodePlan; 4] {
    [
        node("web").needs("api", Healthy),
        node("api").needs("db", Healthy),
        node("db"),
        node("other"),
    ]
}

fn all_up() -> Story {
    let mut story = Story::new();
    story.up(&three());
    for name in ["db", "other", "api", "web"] {
        story.started(name);
    }
    story.told();
    story
}

#[test]
fn down_goes_in_reverse_order_and_independent_branches_at_once() {
    let mut story = all_up();
    story.down();
    story.after(10).exited("web", 0);
    story.after(10).exited("api", 0);
    story.after(10).exited("db", 0);
    insta::assert_snapshot!(story.told(), @r"
     0.00 down
      stop web #4 within 10 s
      | web stopping: it is no longer wanted
      stop other #2 within 10 s
      | other stopping: it is no longer wanted
     0.01 web #4 exited with 0
      | web stopped after 10 ms (exited with 0)
      remove web
      stop api #3 within 10 s
      | api stopping: it is no longer wanted
     0.02 api #3 exited with 0
      | api stopped after 10 ms (exited with 0)
      remove api
      stop db #1 within 10 s
      | db stopping: it is no longer wanted
     0.03 db #1 exited with 0
      | db stopped after 10 ms (exited with 0)
      remove db
    ");
}

#[test]
fn the_second_interrupt_kills_whoever_is_left() {
    let mut story = all_up();
    story.step("shutdown", Event::Shutdown { kill: false });
    story.told();
    story.step("kill", Event::Shutdown { kill: true });
    let told = story.told();
    for name in ["web #4", "api #3", "db #1", "other #2"] {
        assert!(told.contains(&format!("stop {name} within 0 s")), "{told}");
    }
    for name in ["web", "api", "db", "other"] {
        story.exited(name, 137);
    }
    assert!(story.state.is_quiet() && story.state.is_closing());
}

#[test]
fn stopping_one_leaves_the_others() {
    let mut story = all_up();
    story.act(Verb::Stop, &["db"]);
    insta::assert_snapshot!(story.told(), @r#"
     0.00 asked: Stop db
      stop db #1 within 10 s
      | db stopping: it is no longer wanted
    "#);
}

#[test]
fn a_stopped_node_is_not_restarted_by_its_policy() {
    let mut story = Story::new();
    story.up(&[node("a").restarting(RestartPolicy::Always)]);
    story.started("a");
    story.act(
        Verb::Kill {
            signal: "SIGKILL".to_owned(),
        },
        &["a"],
    );
    story.exited("a", 137);
    insta::assert_snapshot!(story.told(), @r#"
     0.00 up
      | a create
      | a starting
      start a #1
     0.00 a #1 started
      | a started
     0.00 asked: Kill { signal: "SIGKILL" } a
      signal a #1 SIGKILL
      | a stopping: asked to send SIGKILL
     0.00 a #1 exited with 137
      | a stopped after 0 s (exited with 137)
    "#);
}

#[test]
fn a_run_that_is_stopped_while_it_starts_ends_as_well() {
    let mut story = Story::new();
    story.up(&[node("a").tested()]);
    story.down();
    story.started("a");
    story.exited("a", 0);
    assert!(story.told().ends_with("remove a\n"));
    story.step("removed", Event::Removed { node: "a".into() });
    assert_eq!(story.state.nodes().count(), 0);
}
