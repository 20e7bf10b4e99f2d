use super::*;
use crate::engine::{Status, Verdict};

#[test]
fn the_budget_is_time_and_fast_tests_use_up_nothing() {
    let mut story = Story::new();
    story.up(&[node("db").tested()]);
    story.started("db");
    while story.now < Time(Duration::from_secs(29)) {
        story.probed("db", false);
        story.tick();
        assert_eq!(story.state.status(&"db".into(), story.now), Status::Starting);
    }
    story.now = Time(Duration::from_secs(30));
    story.probed("db", false);
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Unhealthy);
    assert!(
        story
            .told()
            .ends_with("| db not healthy after 30 s: connection refused\n")
    );
    assert!(matches!(
        story.state.verdict(&["db".into()], story.now),
        Verdict::Failed(_)
    ));
}

#[test]
fn one_failure_of_a_healthy_node_is_no_alarm() {
    let mut story = Story::new();
    story.up(&[node("db").tested()]);
    story.ready("db");
    story.told();
    story.tick();
    story.probed("db", false);
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Ready);
    story.tick();
    story.probed("db", true);
    insta::assert_snapshot!(story.told(), @r"
    10.00 tick
      probe db #1
    10.00 db #1 test failed
    10.00 tick
      probe db #1
    10.00 db #1 test passed
    ");
}

#[test]
fn an_unhealthy_node_can_become_healthy_again() {
    let mut story = Story::new();
    story.up(&[node("db").tested()]);
    story.started("db");
    story.after(31_000).probed("db", false);
    story.tick();
    story.probed("db", true);
    assert!(story.told().ends_with("| db healthy again\n"));
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Ready);
}

#[test]
fn a_test_that_is_under_way_is_not_sent_twice() {
    let mut story = Story::new();
    story.up(&[node("db").tested()]);
    story.started("db");
    story.told();
    story.after(5000).step("tick", Event::Tick);
    assert!(!story.told().contains("probe"));
}

#[test]
fn a_test_that_turns_out_not_to_exist_is_waited_for_no_longer() {
    let mut story = Story::new();
    // An image that was not there yet might have had one.
    story.up(&[node("db").tested()]);
    story.started("db");
    assert_ne!(story.state.status(&"db".into(), story.now), Status::Ready);
    story.up(&[node("db")]);
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Ready);
}
