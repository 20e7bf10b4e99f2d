//! `develop.watch`: every action of the Compose specification in containers, with its patterns as Docker reads them, and what is left of it for a process.

use std::time::Duration;

use crate::support::containers::{Containers, IMAGE, docker, project};
use crate::support::{Project, free_port, get, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Waits until `path` is answered with exactly this.
fn answers(at: &str, path: &str, text: &str) {
    wait_for(&format!("`{text}` at {path}"), LONG, || {
        get(at, path).filter(|(status, body)| *status == 200 && body.trim_end() == text)
    });
}

fn is_missing(at: &str, path: &str) -> bool {
    get(at, path).is_some_and(|(status, _)| status == 404)
}

fn told(project: &Containers, what: &str) -> String {
    wait_for(what, LONG, || {
        let told = project.ok(&["events", "--since", "1h", "--until", "0s"]).out;
        told.contains(what).then_some(told)
    })
}

#[test]
fn files_are_copied_in_and_deleted_and_patterns_are_dockers() {
    let port = free_port();
    let compose = format!(
        r#"
services:
  web:
    init: true
    build:
      context: .
      dockerfile_inline: |
        FROM {IMAGE}
        COPY index.html /www/index.html
    command: [httpd, -f, -p, "80", -h, /www]
    ports: ["{port}:80"]
    stop_grace_period: 1s
    develop:
      watch:
        - {{action: sync, path: ./src, target: /www, initial_sync: true, ignore: ["*.log", "cache/"]}}
        - {{action: sync, path: ./py, target: /www/py, include: ["**/*.py"]}}
"#
    );
    let Some(containers) = project(&compose) else { return };
    let files = &containers.project;
    files.write("index.html", "built");
    files.write(".dockerignore", "**/*.secret\n");
    files.write(".gitignore", "generated/\n");
    files.write("src/first.html", "there from the start");
    files.write("src/first.secret", "no");
    files.write("py/app.py", "one");
    containers.ok(&["up", "-d", "--wait"]);
    let at = format!("127.0.0.1:{port}");
    answers(&at, "/first.html", "there from the start");
    answers(&at, "/index.html", "built");
    assert!(is_missing(&at, "/py/app.py"), "only `initial_sync` copies at the start");
    let container = containers.inspect("web-1", "{{.Id}} {{.State.StartedAt}}");

    // `*.log` is meant at the rule's path alone, as in `.dockerignore`.
    for (name, text) in [
        ("src/x.log", "no"),
        ("src/cache/deep/x.html", "no"),
        ("src/x.secret", "no"),
        ("src/generated/x.html", "no"),
        ("src/deep/x.log", "deep log"),
        ("py/readme.md", "no"),
        ("py/lib/deep.py", "deep py"),
        ("src/new/er/page.html", "a page"),
    ] {
        files.write(name, text);
    }
    answers(&at, "/new/er/page.html", "a page");
    answers(&at, "/deep/x.log", "deep log");
    answers(&at, "/py/lib/deep.py", "deep py");
    for path in [
        "/x.log",
        "/cache/deep/x.html",
        "/x.secret",
        "/first.secret",
        "/generated/x.html",
        "/py/readme.md",
    ] {
        assert!(is_missing(&at, path), "{path} should have stayed behind");
    }

    // What Docker leaves behind may change meanwhile.
    files.write(".dockerignore", "");
    files.write("src/late.secret", "no secret any more");
    answers(&at, "/late.secret", "no secret any more");

    std::fs::remove_dir_all(files.dir().join("src/new")).expect("it is there");
    wait_for("the page to go", LONG, || {
        is_missing(&at, "/new/er/page.html").then_some(())
    });
    assert_eq!(containers.inspect("web-1", "{{.Id}} {{.State.StartedAt}}"), container);
    told(&containers, "synced in");
}

#[test]
fn a_container_is_restarted_or_told_once_its_files_are_there() {
    let ports = [free_port(), free_port(), free_port()];
    let service = |name: &str, port: u16, rule: &str| {
        format!(
            r#"
  {name}:
    image: {IMAGE}
    init: true
    command: [sh, -c, "mkdir -p /www; cat /conf/word > /www/word 2>/dev/null; exec httpd -f -p 80 -h /www"]
    ports: ["{port}:80"]
    stop_grace_period: 1s
    develop: {{watch: [{rule}]}}
"#
        )
    };
    let compose = format!(
        "services:\n{}{}{}",
        service(
            "told",
            ports[0],
            r#"{action: sync+exec, path: ./conf, target: /conf, exec: {command: [cp, /conf/word, /www/word]}}"#
        ),
        service("again", ports[1], "{action: sync+restart, path: ./conf, target: /conf}"),
        service("only", ports[2], "{action: restart, path: ./only}"),
    );
    let Some(containers) = project(&compose) else { return };
    let files = &containers.project;
    files.write("conf/word", "one");
    files.write("only/x", "one");
    containers.ok(&["up", "-d", "--wait"]);
    let state = |service: &str| {
        let container = format!("{service}-1");
        let of = |template: &str| containers.inspect(&container, template);
        (of("{{.Id}}"), of("{{.State.StartedAt}}"))
    };
    let before = ["told", "again", "only"].map(state);
    files.write("conf/word", "two");
    for port in &ports[..2] {
        answers(&format!("127.0.0.1:{port}"), "/word", "two");
    }
    let after = ["told", "again", "only"].map(state);
    assert_eq!(after[0], before[0], "sync+exec restarts nothing");
    assert_eq!(after[1].0, before[1].0, "the same container");
    assert_ne!(after[1].1, before[1].1, "started again");
    assert_eq!(after[2], before[2], "somebody else's files");
    files.write("only/x", "two");
    wait_for("a restart", LONG, || {
        let now = state("only");
        (now.0 == before[2].0 && now.1 != before[2].1).then_some(())
    });
    // What a command inside says when it fails is told.
    std::fs::remove_file(files.dir().join("conf/word")).expect("it is there");
    let told = told(&containers, "not synced");
    assert!(told.contains("sync+exec"), "{told}");
}

#[test]
fn an_image_is_built_again_and_its_container_replaced_with_nobody_refused() {
    let port = free_port();
    let compose = format!(
        r#"
services:
  web:
    init: true
    build: {{context: ./web}}
    command: [httpd, -f, -p, "80", -h, /www]
    ports: ["{port}:80"]
    stop_grace_period: 1s
    develop: {{watch: [{{action: rebuild, path: ./web, ignore: [docs]}}]}}
"#
    );
    let Some(containers) = project(&compose) else { return };
    let files = &containers.project;
    files.write("web/Dockerfile", &format!("FROM {IMAGE}\nCOPY word /www/word\n"));
    files.write("web/word", "one");
    containers.ok(&["up", "-d", "--wait"]);
    let at = format!("127.0.0.1:{port}");
    answers(&at, "/word", "one");
    let before = containers.inspect("web-1", "{{.Id}}");
    files.write("web/docs/a.md", "ignored");
    files.write("web/word", "two");
    wait_for("the new image's answer", LONG, || match get(&at, "/word") {
        Some((200, body)) => (body.trim_end() == "two").then_some(()),
        other => unreachable!("refused: {other:?}"),
    });
    assert_ne!(containers.inspect("web-1", "{{.Id}}"), before);
    // A step that fails leaves the old container serving, and is shown.
    files.write("web/Dockerfile", &format!("FROM {IMAGE}\nCOPY a-mistake /www/word\n"));
    let told = told(&containers, "build failed");
    assert!(told.contains("a-mistake"), "{told}");
    answers(&at, "/word", "two");
    files.write("web/Dockerfile", &format!("FROM {IMAGE}\nCOPY word /www/word\n"));
    files.write("web/word", "three");
    answers(&at, "/word", "three");
    let label = format!("label=com.docker.compose.project={}", containers.name);
    wait_for("the images that were replaced to be gone", LONG, || {
        let left = docker(&["image", "ls", "-q", "--filter", "dangling=true", "--filter", &label])?;
        left.is_empty().then_some(())
    });
}

#[test]
fn a_process_has_its_files_and_is_told_by_the_command() {
    let compose = r#"
services:
  web:
    image: app
    environment: {NAME: web}
    develop:
      watch:
        - action: sync+exec
          path: ./conf
          target: /conf
          exec: {command: [sh, -c, "cp conf/word told.$$NAME && echo . >> conf/count"]}
    x-devctl:
      native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}
"#;
    let project = Project::new(compose);
    project.write("conf/word", "one");
    project.ok(&["up", "-d", "--wait"]);
    let pid = project.pid("web");
    let is_told = |word: &str| {
        project.write("conf/word", word);
        wait_for(&format!("`{word}` to be told"), LONG, || {
            let told = std::fs::read_to_string(project.dir().join("told.web"));
            told.is_ok_and(|told| told == word).then_some(())
        });
    };
    is_told("two");
    // Its command writes among its own sources: that ends by itself, and what a person saves still counts.
    wait_for("its own output to be named", LONG, || {
        let told = project.ok(&["events", "--since", "1h", "--until", "0s"]).out;
        told.contains("it writes `count` itself").then_some(())
    });
    is_told("three");
    assert_eq!(project.pid("web"), pid, "sync+exec restarts nothing");
    std::fs::remove_file(project.dir().join("conf/word")).expect("it is there");
    let told = wait_for("the failure to be told", LONG, || {
        let told = project.ok(&["events", "--since", "1h", "--until", "0s"]).out;
        told.contains("not synced").then_some(told)
    });
    assert!(told.contains("sync+exec"), "{told}");
}
