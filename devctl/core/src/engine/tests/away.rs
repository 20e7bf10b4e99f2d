//! A Docker engine that goes away holds what runs in it: nothing is started, tested or given up meanwhile.

use super::*;
use crate::engine::Status;

const HOST: &str = "unix:///d.sock";

fn inside(name: &str) -> NodePlan {
    node(name).with(|node| node.host = Some(HOST.to_owned()))
}

impl Story {
    fn away(&mut self) {
        let (host, why) = (HOST.to_owned(), "connection refused".to_owned());
        self.step("the engine goes away", Event::Away { host, why });
    }

    fn back(&mut self) {
        let host = HOST.to_owned();
        self.step("the engine is back", Event::Back { host });
    }

    fn ended(&mut self, name: &str, exit: Exit) {
        let node = self.state.node(&name.into()).expect("no such node");
        let run = node.run.as_ref().expect("no run").number;
        let node = name.into();
        self.step(&format!("{name} #{run} {exit}"), Event::Exited { node, run, exit });
    }
}

#[test]
fn what_is_to_start_there_waits_and_says_since_when() {
    let mut story = Story::new();
    story.up(&[inside("db").tested(), node("api").needs("db", Condition::Healthy)]);
    story.ready("db");
    story.started("api");
    story.away();
    story.ended("db", Exit::WithEngine);
    story.after(3000);
    assert_eq!(story.why("db"), "Docker has not answered for 3 s (`unix:///d.sock`)");
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Waiting);
    assert!(!story.told().contains("start db #3"));
    story.back();
    insta::assert_snapshot!(story.told(), @r"
     3.00 the engine is back
      | db starting
      start db #3
    ");
}

#[test]
fn a_run_is_not_tested_meanwhile_and_that_time_is_no_part_of_its_budget() {
    let mut story = Story::new();
    story.up(&[inside("db").tested(), node("api").needs("db", Condition::Healthy)]);
    story.started("db");
    story.away();
    // The test that was under way cannot say anything of it.
    story.probed("db", false);
    assert_eq!(story.state.next_deadline(), None);
    assert_eq!(
        story.why("api"),
        "waiting for db (Docker has not answered for 0 s (`unix:///d.sock`))"
    );
    story.after(60_000);
    story.told();
    story.back();
    story.probed("db", false);
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Starting);
    story.tick();
    story.probed("db", true);
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Ready);
    assert!(story.told().contains("start api"));
}

#[test]
fn what_somebody_else_stops_stays_stopped_until_somebody_starts_it() {
    let mut story = Story::new();
    story.up(&[inside("db").restarting(RestartPolicy::Always)]);
    story.started("db");
    story.ended("db", Exit::Outside(143));
    assert_eq!(story.state.status(&"db".into(), story.now), Status::Down);
    assert!(story.told().contains("| db was stopped from outside (status 143)"));
    story.step("somebody starts it", Event::StartedOutside { node: "db".into() });
    assert!(story.told().contains("start db #2"));
}

#[test]
fn what_devctl_has_stopped_is_not_wanted_because_its_container_was_started() {
    let mut story = Story::new();
    story.up(&[inside("db")]);
    story.started("db");
    story.act(Verb::Stop, &["db"]);
    story.exited("db", 0);
    story.told();
    story.step("its container starts", Event::StartedOutside { node: "db".into() });
    assert!(!story.told().contains("start db"));
}

#[test]
fn what_ended_with_it_comes_back_in_its_order() {
    let mut story = Story::new();
    story.up(&[inside("api").needs("db", Condition::Healthy), inside("db").tested()]);
    story.ready("db");
    story.started("api");
    story.away();
    story.told();
    // Seen before anybody is told that it is back.
    story.ended("api", Exit::WithEngine);
    story.ended("db", Exit::WithEngine);
    assert!(!story.told().contains("start "));
    story.back();
    story.ready("db");
    insta::assert_snapshot!(story.told(), @r"
     0.00 the engine is back
      | db starting
      start db #3
     0.00 db #3 started
      | db started
      probe db #3
     0.00 db #3 test passed
      | db ready after 0 s
      | api starting
      start api #4
    ");
}
