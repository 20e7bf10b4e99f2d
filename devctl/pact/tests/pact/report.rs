//! Reports of every form tell the same, in the same order; the cache keeps what is known and nothing else.

use std::time::Duration;

use devctl_pact::cells::{Ingredients, Verdicts};
use devctl_pact::difference::{Difference, Part};
use devctl_pact::report::{Asked, Conclusion, Report, html, json, junit, text};
use devctl_pact::verify::{Outcome, Verdict, Why};
use serde_json::json;

use crate::support::{contract, http, pact};

fn broken() -> Verdict {
    let message = "Expected 'x' (String) to be the same type as '1' (Integer)".to_owned();
    Verdict::Broken {
        mismatches: vec![Difference::new(Part::Body, "$.id", "1", "\"x\"", message)],
    }
}

fn could_not_run() -> Verdict {
    let why = Why::State {
        what: "find the state `a`".to_owned(),
        help: Some("known states: b".to_owned()),
    };
    Verdict::CouldNotRun { why }
}

fn outcomes(verdicts: Vec<Verdict>) -> Vec<Outcome> {
    let description = |at: usize| format!("item {at} <&>");
    let response = json!({"status": 200});
    let interactions: Vec<_> = (0..verdicts.len())
        .map(|at| http(&description(at), &json!({"method": "GET", "path": "/a"}), &response))
        .collect();
    let contract = contract(&pact(&interactions.into()));
    let pairs = contract.interactions.iter().zip(verdicts);
    pairs
        .map(|(one, verdict)| Outcome::new(&contract, one, verdict, Duration::from_millis(3)))
        .collect()
}

fn pending() -> Verdict {
    let Verdict::Broken { mismatches } = broken() else {
        unreachable!()
    };
    Verdict::Pending { mismatches, why: None }
}

#[test]
fn the_exit_status_never_takes_one_for_the_other() {
    let conclusion = |verdicts| Report::new(outcomes(verdicts)).conclusion();
    assert_eq!(conclusion(vec![]) as u8, 0);
    assert_eq!(conclusion(vec![Verdict::Passed, pending()]), Conclusion::Kept);
    assert_eq!(conclusion(vec![Verdict::Passed, broken()]) as u8, 1);
    assert_eq!(conclusion(vec![Verdict::Passed, could_not_run()]) as u8, 2);
    assert_eq!(conclusion(vec![could_not_run(), broken()]), Conclusion::Broken);
}

#[test]
fn every_form_tells_the_same() {
    let mut report = Report::new(outcomes(vec![Verdict::Passed, broken(), pending(), could_not_run()]));
    report.asked(&Asked {
        before: vec!["devctl".to_owned(), "-f".to_owned(), "my compose.yaml".to_owned()],
        after: vec!["pacts/*.json".to_owned()],
        ..Asked::default()
    });
    let shop = &report.providers[0];
    assert_eq!(
        text::line(shop),
        "shop: 1 kept, 1 broken, 1 pending, 1 could not run: item 1 <&>: $.id: \
         Expected 'x' (String) to be the same type as '1' (Integer)"
    );
    let id = &shop.consumers[0].outcomes[1].interaction;
    let again = format!(
        "again: devctl -f 'my compose.yaml' verify --no-cache --provider shop --consumer web --interaction {id} 'pacts/*.json'"
    );
    assert!(text::details(&shop.consumers[0].outcomes[1]).contains(&again));

    let document = json::render(&report);
    assert_eq!((&document["version"], &document["exitStatus"]), (&json!(1), &json!(1)));
    assert_eq!(
        document["counts"],
        json!({"passed": 1, "broken": 1, "pending": 1, "couldNotRun": 1, "notHere": 0, "cached": 0})
    );
    let interactions = &document["providers"][0]["consumers"][0]["interactions"];
    assert_eq!(interactions[1]["differences"][0]["path"], "$.id");
    assert_eq!(
        interactions[3]["because"],
        "could not set the provider state: find the state `a`"
    );
    assert_eq!(interactions[3]["help"], "known states: b");

    let xml = junit::render(&report).unwrap();
    let all = xml.lines().find(|line| line.starts_with("<testsuites ")).unwrap();
    assert!(!all.contains("skipped"), "not in the schema: {all}");
    assert!(
        xml.contains(r#"tests="4" "#) && xml.contains(r#"failures="1""#) && xml.contains(r#"errors="1""#),
        "{xml}"
    );
    assert!(
        xml.contains(r#"<testsuite name="web -&gt; shop""#) && xml.contains("<skipped"),
        "{xml}"
    );

    let page = html::render(&report);
    assert!(
        page.contains("item 1 &lt;&amp;&gt;") && !page.contains("<&>"),
        "a pact's text is no markup"
    );
    assert!(!page.contains("http://") && !page.contains("<script"), "self-contained");
}

#[test]
fn a_cell_hangs_on_everything_that_could_change_its_verdict() {
    let base = Ingredients {
        pact: "p".to_owned(),
        environment: vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())],
        servers: vec!["postgres 15".to_owned()],
        ..Ingredients::default()
    };
    let mut reordered = base.clone();
    reordered.environment.reverse();
    assert_eq!(base.key(), reordered.key());
    let change: [fn(&mut Ingredients); 8] = [
        |of| of.pact.push('x'),
        |of| of.build.push('x'),
        |of| of.states.push('x'),
        |of| of.migrations.push('x'),
        |of| of.environment[0].1.push('x'),
        |of| of.neighbours.push("x".to_owned()),
        |of| of.servers[0].push('x'),
        |of| of.target.push('x'),
    ];
    let mut keys = vec![base.key()];
    for change in change {
        let mut other = base.clone();
        change(&mut other);
        assert!(!keys.contains(&other.key()), "{other:?}");
        keys.push(other.key());
    }
}

#[test]
fn what_could_not_run_is_never_kept() {
    let key = Ingredients::default().key();
    let mut verdicts = Verdicts::default();
    let outcomes = outcomes(vec![Verdict::Passed, broken(), could_not_run()]);
    let kept: Vec<bool> = outcomes.iter().map(|outcome| verdicts.keep(&key, outcome)).collect();
    assert_eq!(kept, [true, true, false]);
    let found = verdicts.find(&key, &outcomes[1].interaction).unwrap();
    assert!(found.cached && found.verdict == broken());
    assert!(verdicts.find(&key, &outcomes[2].interaction).is_none());
    assert_eq!(
        Report::new(vec![found]).counts.sentence(),
        "0 kept, 1 broken, 1 from the cache"
    );
}
