//! Contracts are verified while the graph runs: beside it, after each save, told in one line, and nothing of the graph is touched.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{Project, wait_for};

const PROVIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/provider.py");
const LONG: Duration = Duration::from_secs(60);

/// `items`, which is "built" from `src`; `more` stands below the services, `top` under the project's contracts.
fn project(top: &str, items: &str, more: &str) -> Project {
    let project = Project::new(&format!(
        r#"
name: onsave
x-devctl: {{contracts: {{pacts: [pacts]{top}}}}}
services:
  items:
    image: items
    develop: {{watch: [{{action: rebuild, path: ./src}}]}}
    x-devctl:
      native:
        build: [sh, -c, "! grep -n mistake src/app && cp src/app out/app"]
        command: [out/app]
        ports: {{"8080": PORT}}
        ready: /healthz
      contracts: {{states: states.yaml}}
{items}
{more}
"#
    ));
    project.write("pacts/web-items.json", &pact("web", "integer").to_string());
    project.write("states.yaml", "states:\n  there is an item: {steps: []}\n");
    project.write("out/.keep", "");
    save(&project, "");
    project
}

/// What a consumer expects of `items`.
fn pact(consumer: &str, price: &str) -> Value {
    let price = json!({"match": price});
    json!({
        "consumer": {"name": consumer},
        "provider": {"name": "items"},
        "interactions": [
            {
                "description": "an item",
                "providerStates": [{"name": "there is an item"}],
                "request": {"method": "GET", "path": "/items/1"},
                "response": {
                    "status": 200,
                    "body": {"id": 1, "name": "one", "price": 10},
                    "matchingRules": {"body": {"$.price": {"matchers": [price]}}}
                }
            },
            {
                "description": "a new item",
                "request": {"method": "POST", "path": "/items", "headers": {"Content-Type": "application/json"}, "body": {"name": "two"}},
                "response": {"status": 201, "body": {"id": 2}}
            }
        ],
        "metadata": {"pactSpecification": {"version": "3.0.0"}}
    })
}

/// Saves the provider, spoiled as `mutation` says.
fn save(project: &Project, mutation: &str) {
    use std::os::unix::fs::PermissionsExt;
    let text = format!("#!/bin/sh\nMUTATION='{mutation}' exec python3 {PROVIDER}\n");
    project.write("new", &text);
    let path = project.dir().join("new");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    std::fs::create_dir_all(project.dir().join("src")).expect("a directory");
    std::fs::rename(path, project.dir().join("src/app")).expect("a file");
}

fn notices(project: &Project) -> String {
    project.ok(&["events", "--since", "1h", "--until", "0s"]).out
}

/// The lines about contracts so far.
fn lines(project: &Project) -> Vec<String> {
    let told = notices(project);
    told.lines()
        .filter(|line| line.contains("contracts: "))
        .map(str::to_owned)
        .collect()
}

/// Waits for so many lines about contracts; the last one.
fn line(project: &Project, count: usize) -> String {
    wait_for(&format!("line {count} about contracts"), LONG, || {
        let lines = lines(project);
        (lines.len() >= count).then(|| lines[count - 1].clone())
    })
}

/// Providers that run: the serving one, and the one beside it.
fn providers(project: &Project) -> usize {
    project
        .processes()
        .iter()
        .filter(|(_, command)| command.contains("provider.py"))
        .count()
}

#[test]
fn a_save_is_verified_and_told_in_one_line_kept_broken_and_kept_again() {
    let project = project("", "", "");
    project.ok(&["up", "-d", "--wait"]);
    let first = line(&project, 1);
    assert!(
        first.contains("items  contracts: 2 kept (") && first.contains("after it was ready"),
        "{first}"
    );
    let serving = project.pid("items");

    save(&project, "changed type");
    let broken = line(&project, 2);
    assert!(
        broken.contains("1 kept, 1 broken: web expects $.price to be an integer, got \"10\" (")
            && broken.contains("after the save"),
        "{broken}"
    );
    assert!(
        notices(&project).contains("help: `devctl verify --provider items --interaction "),
        "{}",
        notices(&project)
    );
    assert_ne!(
        project.pid("items"),
        serving,
        "what was saved serves, whatever it breaks"
    );
    let items = project.node("items");
    assert_eq!(items["Contracts"]["last"]["broken"], 1, "{items}");
    assert_eq!(items["Contracts"]["last"]["breach"]["path"], "$.price", "{items}");
    assert!(project.ok(&["ps"]).out.contains("1 kept, 1 broken"));
    let why = project.ok(&["why", "items"]).out;
    assert!(
        why.contains("contracts: 1 kept, 1 broken: web expects $.price"),
        "{why}"
    );
    let listed = project.ok(&["contracts", "ls"]).out;
    assert!(listed.contains("1 broken, "), "{listed}");

    // What the line says to type shows it whole, and starts nothing: the verdict is known.
    let typed = notices(&project);
    let typed = typed
        .lines()
        .rev()
        .find_map(|line| line.split_once("--interaction "))
        .expect("an id")
        .1;
    let id = typed.split('`').next().expect("an id");
    let said = project.run(&["verify", "--provider", "items", "--interaction", id]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("sent: GET /items/1") && !said.err.contains("ready in"),
        "{}{}",
        said.out,
        said.err
    );

    save(&project, "");
    let again = line(&project, 3);
    assert!(again.contains("2 kept, again ("), "{again}");

    project.ok(&["down"]);
    assert_eq!(providers(&project), 0, "{:?}", project.processes());
    let left = std::fs::read_dir(project.state("beside")).map(Iterator::count);
    assert_eq!(left.unwrap_or(0), 0);
}

#[test]
fn a_build_that_fails_verifies_nothing_and_the_same_product_neither() {
    let project = project("", "", "");
    project.ok(&["up", "-d", "--wait"]);
    line(&project, 1);
    save(&project, "a mistake");
    wait_for("the failed build", LONG, || {
        notices(&project).contains("build failed").then_some(())
    });
    save(&project, "");
    wait_for("the same product", LONG, || {
        notices(&project).contains("nothing changed").then_some(())
    });
    save(&project, "renamed field");
    let told = line(&project, 2);
    assert!(told.contains("1 broken: web expects"), "{told}");
    assert_eq!(lines(&project).len(), 2, "{:?}", lines(&project));
}

#[test]
fn what_could_not_run_is_neither_kept_nor_broken_and_a_corrected_state_is_verified_at_once() {
    let project = project("", "", "");
    project.write("states.yaml", "states:\n  there is an itm: {steps: []}\n");
    project.ok(&["up", "-d", "--wait"]);
    let told = line(&project, 1);
    assert!(
        told.contains("warning: items  contracts: 1 kept, 1 could not run: an item") && !told.contains("broken"),
        "{told}"
    );
    project.write("states.yaml", "states:\n  there is an item: {steps: []}\n");
    let told = line(&project, 2);
    assert!(
        told.contains("2 kept (") && told.contains("after states.yaml changed"),
        "{told}"
    );
    project.write("pacts/other-items.json", &pact("other", "integer").to_string());
    let told = line(&project, 3);
    assert!(told.contains("4 kept ("), "{told}");
    project.write("pacts/other-items.json", "{");
    let told = line(&project, 4);
    assert!(
        told.contains("2 kept, and what else is expected is not known: failed to parse ")
            && told.contains("other-items.json:1:")
            && told.matches("failed to").count() == 1,
        "{told}"
    );
    assert!(project.ok(&["ps"]).out.contains("2 kept, a pact unread"));
    project.write("pacts/other-items.json", &pact("other", "integer").to_string());
    let told = line(&project, 5);
    assert!(told.contains("4 kept"), "{told}");
    let mut other = pact("web", "integer");
    other["interactions"][1]["response"]["body"]["id"] = json!(3);
    project.write("pacts/web-items.json", &other.to_string());
    let told = line(&project, 6);
    assert!(
        told.contains("3 kept, 1 broken: web expects $.id to be 3, got 2 (")
            && told.contains("after web-items.json changed"),
        "{told}"
    );
}

#[test]
fn contract_verified_holds_a_dependent_until_a_save_keeps_the_contracts() {
    let web = r#"
  web:
    image: web
    x-devctl:
      native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}
      depends_on: {items: {condition: contract_verified}}
  lonely:
    image: web
    x-devctl:
      native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}
      depends_on: {web: {condition: contract_verified}}
"#;
    let project = project("", "", web);
    save(&project, "changed type");
    let said = project.run(&["up", "-d", "--wait"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let why = "needs items, which breaks a contract: web expects $.price to be an integer, got \"10\"";
    assert!(
        format!("{}{}", said.out, said.err).contains(why),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(project.node("items")["State"], "running");
    assert_ne!(project.node("web")["State"], "running");
    let tree = project.ok(&["why", "web"]).out;
    assert!(
        tree.contains("items (contract verified)") && tree.contains("1 broken: web expects $.price"),
        "{tree}"
    );

    save(&project, "");
    wait_for("the dependent", LONG, || {
        (project.node("web")["Health"] == "healthy").then_some(())
    });
    // Nobody expects anything of `web`: whoever waits for that does not wait, and is told.
    wait_for("the other one", LONG, || {
        (project.node("lonely")["Health"] == "healthy").then_some(())
    });
    let told = notices(&project);
    assert!(
        told.contains("web  contracts: no pact names it as a provider, nothing is verified"),
        "{told}"
    );

    // A contract that is broken later keeps nobody down who runs.
    let pid = project.pid("web");
    save(&project, "renamed field");
    wait_for("the breach", LONG, || {
        lines(&project).last()?.contains("is missing").then_some(())
    });
    assert_eq!(project.pid("web"), pid);
    project.ok(&["restart", "web"]);
    wait_for("its restart", LONG, || {
        (project.node("web")["Health"] == "healthy").then_some(())
    });
}

#[test]
fn consumer_tests_run_after_a_save_and_what_they_write_is_what_providers_are_held_to() {
    let web = r#"
  web:
    image: web
    develop: {watch: [{action: rebuild, path: ./web}]}
    x-devctl:
      native: {build: [cp, web/app, out/web], command: [out/web], ports: {"8080": PORT}, ready: /healthz}
      contracts: {tests: [sh, -c, "cat web/expects.json > $$PACT_OUTPUT_DIR/web-items.json"]}
"#;
    let project = project("", "", web);
    project.write("web/app", "#!/bin/sh\nexec python3 $SERVICE # one\n");
    let path = project.dir().join("web/app");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    project.write("web/expects.json", &pact("web", "integer").to_string());
    let edit = |word: &str| {
        let app = format!("#!/bin/sh\nexec python3 {} # {word}\n", crate::support::SERVICE);
        std::fs::write(project.dir().join("web/app"), app).expect("a file");
    };
    project.ok(&["up", "-d", "--wait"]);
    line(&project, 1);
    assert!(!notices(&project).contains("consumer tests"), "not before a save");

    edit("two");
    wait_for("the tests", LONG, || {
        notices(&project)
            .contains("web  consumer tests passed in")
            .then_some(())
    });
    assert!(
        notices(&project).contains("its contracts are as committed"),
        "{}",
        notices(&project)
    );

    project.write("web/expects.json", &pact("web", "decimal").to_string());
    edit("three");
    let told = line(&project, 2);
    assert!(
        told.contains("1 broken: web expects $.price to be a number with at least one digit")
            && told.contains("after what web expects changed"),
        "{told}"
    );
    assert!(
        notices(&project).contains("it expects something else of items than is committed"),
        "{}",
        notices(&project)
    );
    assert!(
        project.read("pacts/web-items.json").contains("integer"),
        "what is committed stays"
    );

    project.write("web/expects.json", "{");
    edit("four");
    wait_for("the failed tests", LONG, || {
        notices(&project)
            .contains("error: web  consumer tests: failed to")
            .then_some(())
    });
}

#[test]
fn it_can_be_turned_off_and_put_off() {
    for (top, args) in [(", verify: never", vec![]), ("", vec!["--no-verify"])] {
        let project = project(top, "", "");
        project.ok(&[&["up", "-d", "--wait"], args.as_slice()].concat());
        save(&project, "changed type");
        wait_for("the reload", LONG, || {
            notices(&project).contains("reloaded in").then_some(())
        });
        assert!(project.node("items")["Contracts"].is_null());
        assert!(lines(&project).is_empty());
        project.ok(&["down"]);
    }
    let project = project(", verify: save", "", "");
    project.ok(&["up", "-d", "--wait"]);
    save(&project, "changed type");
    let told = line(&project, 1);
    assert!(told.contains("1 broken") && told.contains("after the save"), "{told}");
}

#[test]
fn stop_and_kill_9_leave_nothing_of_what_is_beside() {
    let project = project("", "", "");
    save(&project, "slow");
    project.ok(&["up", "-d", "--wait"]);
    wait_for("the one beside", LONG, || (providers(&project) == 2).then_some(()));
    project.ok(&["stop", "items"]);
    assert_eq!(providers(&project), 0, "{:?}", project.processes());

    project.ok(&["start", "items"]);
    wait_for("the one beside", LONG, || (providers(&project) == 2).then_some(()));
    let processes = project.processes();
    let daemon = processes
        .iter()
        .find(|(_, command)| command.contains("__daemon"))
        .expect("a daemon")
        .0;
    kill(Pid::from_raw(daemon), Signal::SIGKILL).expect("the daemon is there");
    project.wait_until_gone(Duration::from_secs(4));

    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["down"]);
    let left = std::fs::read_dir(project.state("beside")).map(Iterator::count);
    assert_eq!(
        left.unwrap_or(0),
        0,
        "what was left by the one that was killed is removed"
    );
}

const DATABASE: &str = r#"
  db:
    image: ${POSTGRES_IMAGE:-postgres:15}
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: shop, POSTGRES_DB: goods}
    volumes: [./init:/docker-entrypoint-initdb.d:ro]
"#;

/// The schema is the provider's own (as a migration at its start would make it); each start leaves a row behind.
#[test]
fn the_running_database_is_not_touched_and_the_one_beside_is_new_each_time() {
    let items = r#"
    environment: {DATABASE_URL: "postgres://shop:shop@db:5432/goods"}
    depends_on: {db: {condition: service_healthy}}
"#;
    let project = project("", items, DATABASE);
    project.write("init/10.sql", "create table starts (at timestamptz default now());\n");
    let app = |word: &str| {
        let text = format!(
            "#!/bin/sh\n# {word}\npsql -q \"$DATABASE_URL\" -c 'insert into starts default values' || exit 4\n\
             N=$(psql \"$DATABASE_URL\" -Atc 'select count(*) from starts')\necho \"starts: $N\"\nexec python3 {PROVIDER}\n"
        );
        std::fs::write(project.dir().join("src/app"), text).expect("a file");
    };
    app("one");
    project.ok(&["up", "-d", "--wait"]);
    assert!(line(&project, 1).contains("2 kept"), "{:?}", lines(&project));
    for (count, word) in [(2, "two"), (3, "three")] {
        app(word);
        assert!(line(&project, count).contains("2 kept"), "{:?}", lines(&project));
    }
    // Three runs have served; those beside them have left nothing here, and each has found its database empty.
    let rows = project
        .ok(&["exec", "db", "psql", "-Atc", "select count(*) from starts"])
        .out;
    assert_eq!(rows.trim(), "3");
    let logs = project.state("beside/1/items/logs/items");
    for log in std::fs::read_dir(logs).expect("logs").flatten() {
        let text = std::fs::read_to_string(log.path()).unwrap_or_default();
        assert!(!text.contains("starts: 2"), "{text}");
    }
}
