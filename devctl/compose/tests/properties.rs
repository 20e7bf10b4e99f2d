//! What must hold for any file: nothing panics, a printed project loads as itself, merging is associative.

use devctl_compose::{LoadOptions, Loaded, MemoryFiles, load};
use proptest::prelude::*;
use proptest::sample::select;

fn options(files: &[&str]) -> LoadOptions {
    LoadOptions {
        files: files.iter().map(Into::into).collect(),
        working_dir: "/project".into(),
        project_name: Some("project".to_owned()),
        ..LoadOptions::default()
    }
}

fn loaded(texts: &[&str]) -> Option<Loaded> {
    let names: Vec<String> = (0..texts.len()).map(|index| format!("{index}.yaml")).collect();
    let files = texts
        .iter()
        .zip(&names)
        .fold(MemoryFiles::new(), |files, (text, name)| {
            files.with(format!("/project/{name}"), *text)
        });
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    load(&files, &options(&names)).ok()
}

const AMBIGUOUS: &str =
    "go-yaml, and so Compose, prints empty lines before an indented one in a way that loses the indentation";

fn begins_indented(text: &str) -> bool {
    text.starts_with('\n') && text.trim_start_matches('\n').starts_with([' ', '\t'])
}

/// An attribute of a service, in one of its forms.
fn attribute() -> impl Strategy<Value = String> {
    let word = "[a-z]{1,6}";
    let text = prop_oneof![
        word.prop_map(String::from),
        "[ -~é\\n\\t]{0,12}"
            .prop_filter(AMBIGUOUS, |text| !begins_indented(text))
            .prop_map(|text| format!("{text:?}")
                .replace("\\'", "'")
                .replace("\\u{e9}", "é")
                .replace('$', "$$")),
    ];
    prop_oneof![
        text.clone().prop_map(|value| format!("hostname: {value}")),
        prop::collection::vec(text.clone(), 0..4).prop_map(|words| format!("command: [{}]", words.join(", "))),
        prop::collection::btree_map(word, text, 0..4).prop_map(|map| {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("environment: {{{}}}", entries.join(", "))
        }),
        (1u16..9, 1u16..9).prop_map(|(a, b)| format!("ports: [\"{a}:{b}\", {b}]")),
        word.prop_map(|name| format!("volumes: [/{name}, \"./{name}:/b{name}:ro\"]")),
        prop::collection::btree_set(word, 0..4)
            .prop_map(|all| { format!("cap_add: [{}]", all.into_iter().collect::<Vec<_>>().join(", ")) }),
        (0u32..5000).prop_map(|size| format!("mem_limit: {size}k")),
        (1u32..500).prop_map(|time| format!("healthcheck: {{test: x, interval: {time}s}}")),
        select(vec![
            "deploy: {replicas: 2}",
            "tty: true",
            "restart: always",
            "labels: [a=b, c]",
            "init: yes",
            "build: ."
        ])
        .prop_map(String::from),
    ]
}

fn service() -> impl Strategy<Value = String> {
    prop::collection::btree_map("[a-c]", prop::collection::vec(attribute(), 0..6), 1..3).prop_map(|services| {
        let mut text = String::from("services:\n");
        for (name, attributes) in services {
            text += &format!("  {name}:\n    image: image\n");
            let mut known: Vec<String> = Vec::new();
            for attribute in attributes {
                let key = attribute.split(':').next().unwrap_or_default().to_owned();
                if !known.contains(&key) {
                    known.push(key);
                    text += &format!("    {attribute}\n");
                }
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands in a file, a load ends with a project or with problems.
    #[test]
    fn nothing_panics(text in "[ -~\\n\\té]{0,200}") {
        let _ = loaded(&[&text]);
    }

    /// As above, with texts that are nearly Compose files.
    #[test]
    fn nothing_panics_near_a_file(text in service(), at in 0usize..400, garbage in "[\\[\\]{}:#&*!|>'\"%@`,\\-? \\n\\t$a-c<]{0,6}") {
        let mut text = text;
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &garbage);
        let _ = loaded(&[&text]);
    }

    /// `load(render(load(x)))` is `load(x)`, in both formats.
    #[test]
    fn a_printed_project_loads_as_itself(text in service()) {
        if let Some(first) = loaded(&[&text]) {
            let yaml = first.project.to_yaml();
            let again = loaded(&[&yaml]).expect(&yaml);
            prop_assert_eq!(again.project.to_json(), first.project.to_json(), "{}", yaml);
            let json = first.project.to_json_text().unwrap();
            let again = loaded(&[&json]).expect(&json);
            prop_assert_eq!(again.project.to_json(), first.project.to_json(), "{}", json);
        }
    }

    /// A file over two others means the same whether those were printed as one first or not.
    #[test]
    fn merging_is_associative(a in service(), b in service(), c in service()) {
        let (Some(all), Some(first)) = (loaded(&[&a, &b, &c]), loaded(&[&a, &b])) else { return Ok(()) };
        let first = first.project.to_yaml();
        let two = loaded(&[&first, &c]).expect("what is loaded in one go is loaded in two");
        prop_assert_eq!(two.project.to_json(), all.project.to_json());
    }

    /// A file merged over itself says nothing new.
    #[test]
    fn merging_is_idempotent(text in service()) {
        if let Some(once) = loaded(&[&text]) {
            let twice = loaded(&[&text, &text]).expect("the same file twice is accepted");
            prop_assert_eq!(twice.project.to_json(), once.project.to_json());
        }
    }
}
