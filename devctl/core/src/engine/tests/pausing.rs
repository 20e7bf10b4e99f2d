use super::*;
use crate::engine::Verdict;

fn two() -> Story {
    let mut story = Story::new();
    story.up(&[node("api").tested(), node("db")]);
    story.started("db");
    story.started("api");
    story.probed("api", true);
    story.told();
    story
}

fn held(story: &mut Story, name: &str, still: bool, outcome: Result<(), Failure>) {
    let run = story.newest(name);
    let event = Event::Held {
        node: name.into(),
        run,
        still,
        outcome,
    };
    story.step("held", event);
}

#[test]
fn one_that_is_held_still_is_not_tested_until_it_goes_on() {
    let mut story = two();
    story.act(Verb::Pause, &["api"]);
    held(&mut story, "api", true, Ok(()));
    assert_eq!(
        story.state.status(&"api".into(), story.now),
        crate::engine::Status::Paused
    );
    assert_eq!(story.state.next_deadline(), None, "nothing is to be tested");
    story.after(60_000).step("tick", Event::Tick);
    story.act(Verb::Unpause, &["api"]);
    held(&mut story, "api", false, Ok(()));
    insta::assert_snapshot!(story.told(), @r"
     0.00 asked: Pause api
      hold api #1 still: true
     0.00 held
      | api paused
    60.00 tick
    60.00 asked: Unpause api
      hold api #1 still: false
    60.00 held
      | api goes on after 60 s
      probe api #1
    ");
}

#[test]
fn who_did_it_and_who_saw_it_tell_it_once() {
    let mut story = two();
    story.act(Verb::Pause, &["db"]);
    held(&mut story, "db", true, Ok(()));
    held(&mut story, "db", true, Ok(()));
    assert_eq!(story.told().matches("paused").count(), 1);
    // From outside, with nobody having asked.
    held(&mut story, "db", false, Ok(()));
    assert!(story.told().contains("goes on"));
}

#[test]
fn one_that_cannot_be_held_still_goes_on_and_says_why() {
    let mut story = two();
    story.act(Verb::Pause, &["db"]);
    held(&mut story, "db", true, Err(Failure::new("no freezer")));
    let told = story.told();
    assert!(told.contains("could not be paused: no freezer"), "{told}");
    assert_eq!(
        story.state.status(&"db".into(), story.now),
        crate::engine::Status::Ready
    );
}

#[test]
fn a_changed_plan_waits_for_one_that_is_held_still_and_an_up_lets_it_go_on() {
    let mut story = two();
    story.act(Verb::Pause, &["db"]);
    held(&mut story, "db", true, Ok(()));
    story.told();
    story.up(&[node("api").tested(), node("db")]);
    assert!(story.told().contains("hold db #2 still: false"));
    // Who waits is told once it goes on.
    let up = |story: &Story| story.state.verdict(&["api".into(), "db".into()], story.now);
    assert_eq!(up(&story), Verdict::Pending);
    held(&mut story, "db", false, Ok(()));
    assert_eq!(up(&story), Verdict::Ready);
}

#[test]
fn who_changes_their_mind_is_heard_after_the_answer() {
    let mut story = two();
    story.act(Verb::Pause, &["db"]);
    story.told();
    story.act(Verb::Unpause, &["db"]);
    assert!(!story.told().contains("hold db"), "not two orders at once");
    held(&mut story, "db", true, Ok(()));
    assert!(story.told().contains("hold db #2 still: false"));
    held(&mut story, "db", false, Ok(()));
    assert!(story.told().contains("goes on"));
    // And where the first one has come to nothing, there is nothing to do.
    story.act(Verb::Pause, &["db"]);
    story.act(Verb::Unpause, &["db"]);
    story.told();
    held(&mut story, "db", true, Err(Failure::new("no freezer")));
    assert!(!story.told().contains("hold db"));
    assert_eq!(
        story.state.status(&"db".into(), story.now),
        crate::engine::Status::Ready
    );
}

#[test]
fn one_that_is_being_started_is_held_still_once_it_is_there() {
    let mut story = Story::new();
    story.up(&[node("db")]);
    story.act(Verb::Pause, &["db"]);
    assert!(!story.told().contains("hold db"));
    story.started("db");
    assert!(story.told().contains("hold db #1 still: true"));
}

#[test]
fn a_signal_that_is_handled_is_no_end_and_down_is_one() {
    let mut story = two();
    let int = || Verb::Kill {
        signal: "SIGINT".to_owned(),
    };
    story.act(int(), &["db"]);
    story.after(20_000).step("tick", Event::Tick);
    let told = story.told();
    assert!(
        told.contains("the signal did not end it within 20 s: it goes on"),
        "{told}"
    );
    assert_eq!(
        story.state.status(&"db".into(), story.now),
        crate::engine::Status::Ready
    );

    story.act(int(), &["db"]);
    story.told();
    story.down();
    let told = story.told();
    assert!(
        told.contains("stop db #"),
        "down must end what a signal has not: {told}"
    );
}

#[test]
fn what_is_only_to_be_made_is_built_and_made_and_not_started() {
    let mut story = Story::new();
    let mut wanted = up(&[node("api").built(), node("db")]);
    wanted.no_start = true;
    wanted.create = true;
    story.step("create", Event::Up(wanted));
    let told = story.told();
    assert!(told.contains("build api #1") && told.contains("create db"), "{told}");
    assert!(!told.contains("create api") || told.contains("| api create"), "{told}");
    assert!(!story.state.is_quiet(), "it is being made");
    story.built("api", "a1");
    assert!(story.told().contains("  create api"));
    for name in ["api", "db"] {
        let event = Event::Created {
            node: name.into(),
            outcome: Ok(()),
        };
        story.step("created", event);
    }
    let told = story.told();
    assert!(!told.contains("start "), "{told}");
    assert!(story.state.is_quiet() && story.state.is_idle());
}

#[test]
fn one_that_is_held_still_and_is_to_be_made_anew_is() {
    let mut story = two();
    story.act(Verb::Pause, &["db"]);
    held(&mut story, "db", true, Ok(()));
    story.told();
    story.up(&[node("api").tested(), node("db").hash("v2")]);
    assert!(story.told().contains("hold db #2 still: false"));
    held(&mut story, "db", false, Ok(()));
    let told = story.told();
    assert!(told.contains("stop db #2"), "{told}");
}
