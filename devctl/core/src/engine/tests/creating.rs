use super::*;

fn being_made() -> Story {
    let mut story = Story::new();
    let mut wanted = up(&[node("db"), node("web")]);
    wanted.no_start = true;
    wanted.create = true;
    story.step("create", Event::Up(wanted));
    story.created("web", Ok(()));
    let told = story.told();
    assert!(told.contains("  create db"), "{told}");
    story
}

impl Story {
    fn created(&mut self, name: &str, outcome: Result<(), Failure>) {
        let event = Event::Created {
            node: name.into(),
            outcome,
        };
        self.step(&format!("{name} created"), event);
    }
}

#[test]
fn what_is_being_made_is_removed_only_when_its_maker_has_let_go() {
    let mut story = being_made();
    story.down();
    story.created("db", Err(Failure::new("it was told to stop")));
    insta::assert_snapshot!(story.told(), @r"
     0.00 down
      cancel create db
      remove web
     0.00 db created
      remove db
    ");
}

#[test]
fn a_stop_ends_the_making_and_is_waited_for() {
    let mut story = being_made();
    story.act(Verb::Stop, &["db"]);
    assert!(!story.state.is_quiet(), "it may still be made");
    story.created("db", Ok(()));
    insta::assert_snapshot!(story.told(), @r"
     0.00 asked: Stop db
      cancel create db
     0.00 db created
    ");
    assert!(story.state.is_quiet());
}

#[test]
fn whoever_is_wanted_to_run_waits_until_it_is_made() {
    let mut story = being_made();
    story.up(&[node("db"), node("web")]);
    let held = story.state.hold(&"db".into(), story.now).map(|hold| hold.to_string());
    assert_eq!(held.as_deref(), Some("it is being created"));
    let told = story.told();
    assert!(told.contains("start web #") && !told.contains("start db #"), "{told}");
    story.created("db", Ok(()));
    let told = story.told();
    assert!(told.contains("start db #"), "{told}");
}

#[test]
fn one_that_was_taken_down_and_is_wanted_again_is_made_once_more() {
    let mut story = being_made();
    story.down();
    let mut wanted = up(&[node("db"), node("web")]);
    wanted.no_start = true;
    wanted.create = true;
    story.step("create", Event::Up(wanted));
    let told = story.told();
    assert!(
        !told.contains("  create db"),
        "not while it is still being made: {told}"
    );
    story.created("db", Err(Failure::new("it was told to stop")));
    let told = story.told();
    assert!(told.contains("  create db") && !told.contains("remove db"), "{told}");
}
