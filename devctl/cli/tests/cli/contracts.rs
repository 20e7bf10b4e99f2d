//! `contracts`: what is listed, and what of the committed contracts is not what the consumers' tests write.

use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const SHOP: &str = r#"
name: shop
x-devctl: {contracts: {pacts: [pacts]}}
services:
  api:
    image: shop/api
    x-devctl: {contracts: {tests: [sh, -c, 'cp fresh/* "$$PACT_OUTPUT_DIR"']}}
  back:
    image: shop/back
"#;

fn interaction(description: &str, status: u16) -> Value {
    json!({
        "type": "Synchronous/HTTP",
        "description": description,
        "providerStates": [{"name": "it is there"}],
        "request": {"method": "GET", "path": "/things/1"},
        "response": {"status": status, "body": {"contentType": "application/json", "encoded": false, "content": {"id": 1}}},
    })
}

fn pact(consumer: &str, provider: &str, interactions: &[Value]) -> Value {
    json!({
        "consumer": {"name": consumer},
        "provider": {"name": provider},
        "interactions": interactions,
        "metadata": {"pactSpecification": {"version": "4.0"}},
    })
}

/// A project whose tests write what is in `fresh`.
struct Shop(Sandbox);

impl Shop {
    fn new() -> Self {
        Self::of(SHOP)
    }

    fn of(compose: &str) -> Self {
        let shop = Self(Sandbox::new(compose));
        for folder in ["pacts", "fresh"] {
            std::fs::create_dir(shop.0.dir().join(folder)).unwrap();
        }
        shop
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.dir().join(file)
    }

    fn put(&self, folder: &str, pact: &Value) {
        let name = |role: &str| pact[role]["name"].as_str().unwrap().to_owned();
        let file = format!("{folder}/{}-{}.json", name("consumer"), name("provider"));
        self.0.write(&file, &pact.to_string());
    }

    /// How long the tests took is nobody's promise.
    fn drift(&self, args: &[&str]) -> String {
        let mut words = vec!["contracts", "drift"];
        words.extend(args);
        let said = self.0.devctl(&words);
        regex::Regex::new(r"in \d+\.\d s")
            .unwrap()
            .replace_all(&said, "in [TIME]")
            .into_owned()
    }
}

#[test]
fn what_is_committed_and_written_alike_is_said_to_be() {
    let shop = Shop::new();
    let mut committed = pact(
        "api",
        "back",
        &[interaction("a thing", 200), interaction("another", 404)],
    );
    shop.put("pacts", &committed);
    // Another order, another library's version, and words that go without saying.
    committed["interactions"].as_array_mut().unwrap().reverse();
    committed["interactions"][0]["pending"] = json!(false);
    committed["metadata"]["pactRust"] = json!({"models": "9.9.9"});
    shop.put("fresh", &committed);
    assert_snapshot!(shop.drift(&[]), @r#"
    status: 0
    --- stdout
    ✓ api -> back  2 interactions
    --- stderr
    running the consumer tests of api: sh -c 'cp fresh/* "$PACT_OUTPUT_DIR"'
    api: 1 pact in [TIME]
    "#);
}

#[test]
fn what_differs_is_shown_with_its_place() {
    let shop = Shop::new();
    shop.put(
        "pacts",
        &pact(
            "api",
            "back",
            &[interaction("a thing", 200), interaction("an old thing", 200)],
        ),
    );
    let mut changed = interaction("a thing", 203);
    changed["response"]["body"]["content"]["id"] = json!("1");
    changed["request"]["headers"] = json!({"accept": ["application/json"]});
    shop.put(
        "fresh",
        &pact("api", "back", &[changed, interaction("a new thing", 200)]),
    );
    shop.put("fresh", &pact("api", "mail", &[interaction("a mail", 202)]));
    shop.put("pacts", &pact("api", "gone", &[interaction("something", 200)]));
    assert_snapshot!(shop.drift(&[]), @r#"
    status: 1
    --- stdout
    ✗ api -> back  stale: pacts/api-back.json
        + a new thing (given it is there): not committed
        ~ a thing (given it is there)
            $.request.headers
              committed  nothing
              written    {"accept":["application/json"]}
            $.response.body.content.id
              committed  1
              written    "1"
            $.response.status
              committed  200
              written    203
        - an old thing (given it is there): no test writes it
    ✗ api -> gone  left over: no test writes pacts/api-gone.json
    ✗ api -> mail  missing: no file of it is committed
    --- stderr
    running the consumer tests of api: sh -c 'cp fresh/* "$PACT_OUTPUT_DIR"'
    api: 2 pacts in [TIME]
    3 of 3 contracts not what the tests write; `devctl contracts drift --update` writes that
     help: what a consumer expects has changed: its providers must keep the new contract before it is committed
    "#);
    assert!(shop.path("pacts/api-gone.json").exists(), "looking changes nothing");
}

#[test]
fn an_update_writes_adds_and_removes_and_then_all_is_the_same() {
    let shop = Shop::new();
    shop.put("pacts", &pact("api", "back", &[interaction("a thing", 200)]));
    shop.put("pacts", &pact("api", "gone", &[interaction("something", 200)]));
    shop.put(
        "fresh",
        &pact("api", "back", &[interaction("b", 200), interaction("a", 203)]),
    );
    shop.put("fresh", &pact("api", "mail", &[interaction("a mail", 202)]));
    assert_snapshot!(shop.drift(&["--update"]), @r#"
    status: 0
    --- stdout
    ✗ api -> back  stale: pacts/api-back.json
        + a (given it is there): not committed
        - a thing (given it is there): no test writes it
        + b (given it is there): not committed
    ✗ api -> gone  left over: no test writes pacts/api-gone.json
    ✗ api -> mail  missing: no file of it is committed
    --- stderr
    running the consumer tests of api: sh -c 'cp fresh/* "$PACT_OUTPUT_DIR"'
    api: 2 pacts in [TIME]
    wrote pacts/api-back.json
    removed pacts/api-gone.json
    wrote pacts/api-mail.json
    "#);
    let text = std::fs::read_to_string(shop.path("pacts/api-back.json")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        written["interactions"][0]["description"], "a",
        "in an order of their own"
    );
    assert!(shop.drift(&[]).starts_with("status: 0"));
    shop.drift(&["--update"]);
    assert_eq!(std::fs::read_to_string(shop.path("pacts/api-back.json")).unwrap(), text);
}

#[test]
fn tests_that_fail_are_told_with_their_last_lines_and_change_nothing() {
    let compose = SHOP.replace(
        r#"'cp fresh/* "$$PACT_OUTPUT_DIR"'"#,
        r#"'echo "test a_thing ... FAILED"; echo "expected 200" >&2; exit 101'"#,
    );
    let shop = Shop::of(&compose);
    shop.put("pacts", &pact("api", "back", &[interaction("a thing", 200)]));
    assert_snapshot!(shop.drift(&["--update"]), @r#"
    status: 2
    --- stderr
    running the consumer tests of api: sh -c 'echo "test a_thing ... FAILED"; echo "expected 200" >&2; exit 101'
    error: the consumer tests of api failed: `sh -c 'echo "test a_thing ... FAILED"; echo "expected 200" >&2; exit 101'` exited with 101
     help: its last lines:
           test a_thing ... FAILED
           expected 200
    "#);
    assert!(shop.path("pacts/api-back.json").exists());
}

#[test]
fn tests_that_write_nothing_are_not_taken_for_consumers_that_expect_nothing() {
    let shop = Shop::of(&SHOP.replace("cp fresh/*", "true"));
    assert_snapshot!(shop.drift(&[]), @r#"
    status: 2
    --- stderr
    running the consumer tests of api: sh -c 'true "$PACT_OUTPUT_DIR"'
    error: the consumer tests of api wrote no pact: `sh -c 'true "$PACT_OUTPUT_DIR"'`
     help: tests write their pacts to `$PACT_OUTPUT_DIR`; run by itself: `PACT_OUTPUT_DIR=/tmp/pacts sh -c 'true "$PACT_OUTPUT_DIR"'`
    "#);
    let shop = Shop::new();
    shop.put("fresh", &pact("apo", "back", &[interaction("a thing", 200)]));
    let said = shop.drift(&[]);
    assert!(
        said.contains("the consumer tests of api wrote pacts of `apo` and none of `api`"),
        "{said}"
    );
    let shop = Shop::new();
    shop.0.write("fresh/api-back.json", "{\n  nonsense");
    let said = shop.drift(&[]);
    assert!(
        said.starts_with("status: 2") && said.contains("api-back.json:2:3"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_run_says_what_to_declare() {
    let shop = Shop::of("name: shop\nservices: {api: {image: shop/api}}\n");
    assert_snapshot!(shop.drift(&[]), @r#"
    status: 2
    --- stderr
    error: the project does not say where its contracts are
     help: name the folder at the top of the Compose file: `x-devctl: {contracts: {pacts: [./pacts]}}`
    "#);
    let shop = Shop::of("name: shop\nx-devctl: {contracts: {pacts: [pacts]}}\nservices: {api: {image: shop/api}}\n");
    assert_snapshot!(shop.drift(&[]), @r#"
    status: 2
    --- stderr
    error: nobody declares the command that writes contracts
     help: for each consumer: `x-devctl: {contracts: {tests: cargo test --test contracts}}`; it writes to `$PACT_OUTPUT_DIR`
    "#);
    assert_snapshot!(Shop::new().drift(&["apii"]), @r#"
    status: 2
    --- stderr
    error: nobody declares the tests of `apii`
     help: did you mean `api`?
    "#);
    let shop = Shop::of(&SHOP.replace("[sh, -c, 'cp fresh/* \"$$PACT_OUTPUT_DIR\"']", "no-such-command --now"));
    let said = shop.drift(&[]);
    assert!(
        said.starts_with("status: 2") && said.contains("`no-such-command --now`") && said.contains("No such file"),
        "{said}"
    );
}

#[test]
fn consumers_that_are_no_services_have_the_projects_command() {
    let compose = SHOP.replace(
        "{pacts: [pacts]}",
        "{pacts: [pacts], tests: [cp, fresh-app.json, $APP]}",
    );
    let compose = compose.replace(
        "[cp, fresh-app.json, $APP]",
        r#"[sh, -c, 'cp app.json "$$PACT_OUTPUT_DIR"']"#,
    );
    let shop = Shop::of(&compose);
    let api = pact("api", "back", &[interaction("a thing", 200)]);
    let app = pact("app", "api", &[interaction("a screen", 200)]);
    shop.put("fresh", &api);
    shop.put("pacts", &api);
    shop.put("pacts", &app);
    shop.put("pacts", &pact("old-app", "api", &[interaction("a screen", 200)]));
    // Its own tests are declared by nobody.
    shop.put("pacts", &pact("back", "mail", &[interaction("a mail", 200)]));
    shop.0.write("app.json", &app.to_string());
    assert_snapshot!(shop.drift(&["--jobs", "1"]), @r#"
    status: 1
    --- stdout
    ✓ api -> back     1 interaction
    ✓ app -> api      1 interaction
    ✗ old-app -> api  left over: no test writes pacts/old-app-api.json
    --- stderr
    running the consumer tests of api: sh -c 'cp fresh/* "$PACT_OUTPUT_DIR"'
    api: 1 pact in [TIME]
    running the consumer tests of the project's other consumers: sh -c 'cp app.json "$PACT_OUTPUT_DIR"'
    the project's other consumers: 1 pact in [TIME]
    warning: `back` has contracts, and nobody declares its tests: they were not checked
    1 of 3 contracts not what the tests write; `devctl contracts drift --update` writes that
     help: what a consumer expects has changed: its providers must keep the new contract before it is committed
    "#);
    assert_snapshot!(shop.drift(&["app"]), @r#"
    status: 0
    --- stdout
    ✓ app -> api  1 interaction
    --- stderr
    running the consumer tests of the project's other consumers: sh -c 'cp app.json "$PACT_OUTPUT_DIR"'
    the project's other consumers: 1 pact in [TIME]
    "#);
}

#[test]
fn a_program_gets_an_object_per_contract() {
    let shop = Shop::new();
    shop.put("pacts", &pact("api", "back", &[interaction("a thing", 200)]));
    shop.put("fresh", &pact("api", "back", &[interaction("a thing", 203)]));
    let output = shop
        .0
        .command(&["contracts", "drift", "--format", "json"])
        .output()
        .unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(line["verdict"], "stale");
    assert_eq!(
        line["changes"][0]["differences"],
        json!([{"path": "$.response.status", "committed": 200, "written": 203}])
    );
}

#[test]
fn contracts_are_listed() {
    let shop = Shop::new();
    shop.put(
        "pacts",
        &pact(
            "api",
            "back",
            &[interaction("a thing", 200), interaction("another", 404)],
        ),
    );
    assert_snapshot!(shop.0.devctl(&["contracts", "ls"]), @r#"
    status: 0
    --- stdout
    CONSUMER   PROVIDER   INTERACTIONS   KIND   LAST VERDICT   PACT   FILE
    api        back       2              http   -              V4     pacts/api-back.json
    "#);
    let said = shop.0.devctl(&["contracts", "ls", "--format", "json"]);
    assert!(said.contains(r#""interactions":2,"kinds":["http"]"#), "{said}");
}
