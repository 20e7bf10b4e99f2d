use super::*;

#[test]
fn up_of_one_service_leaves_the_others_as_they_are() {
    let mut story = Story::new();
    story.step(
        "up a",
        Event::Up(Up {
            scope: vec!["a".into()],
            ..up(&[node("a"), node("b")])
        }),
    );
    let told = story.told();
    assert!(told.contains("start a") && !told.contains("start b"), "{told}");
    assert_eq!(story.why("b"), "stopped");
}

#[test]
fn force_recreate_replaces_what_has_not_changed_and_no_recreate_keeps_what_has() {
    let mut story = Story::new();
    story.up(&[node("a")]);
    story.started("a");
    story.step(
        "up",
        Event::Up(Up {
            no_recreate: true,
            ..up(&[node("a").hash("v2")])
        }),
    );
    assert!(!story.told().contains("stop a"));
    story.step(
        "up",
        Event::Up(Up {
            force_recreate: true,
            ..up(&[node("a").hash("v2")])
        }),
    );
    assert!(story.told().contains("stop a"));
}

#[test]
fn notices_are_numbered_without_gaps() {
    let mut story = Story::new();
    let numbers: Vec<u64> = story
        .state
        .step(Event::Up(up(&[node("a"), node("b")])), story.now)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Notice(notice) => Some(notice.number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn up_again_tries_again_what_had_failed() {
    let mut story = Story::new();
    story.up(&[node("a")]);
    story.start_failed("a", "no such file");
    story.told();
    story.up(&[node("a")]);
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | a start: it had failed
      | a starting
      start a #2
    ");
}

#[test]
fn what_a_profile_turned_off_is_no_orphan() {
    let mut story = Story::new();
    story.up(&[node("a"), node("extra")]);
    story.started("a");
    story.started("extra");
    story.told();
    let disabled = std::collections::HashSet::from(["extra".to_owned()]);
    let again = up(&[node("a")]);
    story.step(
        "up",
        Event::Up(Up {
            disabled,
            remove_orphans: true,
            ..again
        }),
    );
    insta::assert_snapshot!(story.told(), @" 0.00 up");
}

#[test]
fn a_smaller_scale_takes_the_surplus_down() {
    let mut story = Story::new();
    let second = node("a").with(|node| node.id = NodeId::new("a", 2));
    story.up(&[node("a"), second]);
    story.told();
    let enabled = std::collections::HashSet::from(["a".to_owned()]);
    story.step(
        "up",
        Event::Up(Up {
            enabled,
            ..up(&[node("a")])
        }),
    );
    insta::assert_snapshot!(story.told(), @r"
     0.00 up
      | a[2] remove: fewer replicas are wanted
      stop a[2] #2 within 10 s
      | a[2] stopping: it is no longer wanted
    ");
}
