//! A saved file is served soon, nobody is refused meanwhile, and what went wrong is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Project, free_port, get, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// A service that is "built" by copying `src/service.py` beside a word of `src/word`; `extra` is put under it.
fn project(port: u16, watch: &str, extra: &str) -> Project {
    let compose = format!(
        r#"
name: reload
services:
  api:
    image: app
    ports: ["{port}:8080"]
    environment: {{NAME: api}}
    develop: {{watch: [{watch}]}}
{extra}
    x-devctl:
      native:
        build: [sh, -c, "! grep -n mistake src/word && cat src/word > out/word && cp src/app out/app"]
        command: [out/app]
        ports: {{"8080": PORT}}
        ready: /healthz
"#
    );
    let project = Project::new(&compose);
    project.write(
        "src/app",
        "#!/bin/sh\nGENERATION=$(cat out/word) exec python3 $SERVICE\n",
    );
    make_executable(&project, "src/app");
    project.write("src/word", "one");
    project.write("out/.keep", "");
    project
}

fn make_executable(project: &Project, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = project.dir().join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// The build's product differs with each word, so that it counts as another one. It is written last: what was built of the word
/// alone is overtaken.
fn save(project: &Project, word: &str) {
    project.write("src/word", word);
    project.write(
        "src/app",
        &format!("#!/bin/sh\n# {word}\nGENERATION=$(cat out/word) exec python3 $SERVICE\n"),
    );
    make_executable(project, "src/app");
}

fn notices(project: &Project) -> String {
    project.ok(&["events", "--since", "1h", "--until", "0s"]).out
}

fn serves(at: &str, word: &str) {
    wait_for(&format!("an answer of `{word}`"), LONG, || {
        get(at, "/").filter(|(_, body)| body.ends_with(word)).map(|_| ())
    });
}

#[test]
fn a_save_is_built_and_swapped_in_with_nobody_refused_and_told_in_one_line() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port, "{action: rebuild, path: ./src}", "");
    project.ok(&["up", "-d", "--wait"]);
    serves(&at, "one");
    let stop = AtomicBool::new(false);
    let bad = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut bad = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match get(&at, "/") {
                    Some((200, _)) => {}
                    other => bad.push(other),
                }
            }
            bad
        });
        for word in ["two", "three"] {
            save(&project, word);
            serves(&at, word);
        }
        stop.store(true, Ordering::Relaxed);
        asking.join().expect("the asker ends")
    });
    assert!(bad.is_empty(), "{bad:?}");
    let line = wait_for("the line of the reload", LONG, || {
        let told = notices(&project);
        told.lines()
            .rfind(|line| line.contains("reloaded in"))
            .map(str::to_owned)
    });
    for part in ["api", "changed", "build ", "swap ", "no request held"] {
        assert!(line.contains(part), "no `{part}` in {line}");
    }
}

#[test]
fn a_failed_build_keeps_the_old_run_and_shows_what_was_said_and_the_next_save_tries_again() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port, "{action: rebuild, path: ./src}", "");
    project.ok(&["up", "-d", "--wait"]);
    let before = project.pid("api");
    save(&project, "a mistake");
    let told = wait_for("the failed build", LONG, || {
        let told = notices(&project);
        told.contains("build failed").then_some(told)
    });
    assert!(told.contains("1:a mistake"), "the build's own words: {told}");
    assert_eq!(project.pid("api"), before);
    serves(&at, "one");
    save(&project, "corrected");
    serves(&at, "corrected");
}

#[test]
fn what_the_service_writes_itself_is_named_and_reloads_nothing() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port, "{action: rebuild, path: .}, {action: rebuild, path: ./src}", "");
    project.write(".gitignore", "out/\n");
    project.write(
        "src/app",
        "#!/bin/sh\nexec 3>>own.log\necho starts >&3\nGENERATION=$(cat out/word) exec python3 $SERVICE\n",
    );
    make_executable(&project, "src/app");
    project.ok(&["up", "-d", "--wait"]);
    wait_for("the name of the log", LONG, || {
        notices(&project).contains("it writes `own.log` itself").then_some(())
    });
    let before = project.pid("api");
    project.write("src/word", "two");
    project.write("src/app", &project.read("src/app").replace("starts", "starts again"));
    make_executable(&project, "src/app");
    serves(&at, "two");
    assert_ne!(project.pid("api"), before);
    let told = notices(&project);
    assert_eq!(told.matches("it writes `own.log` itself").count(), 1, "{told}");
}

#[test]
fn where_two_runs_must_not_meet_callers_wait() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(
        port,
        "{action: rebuild, path: ./src}",
        "    container_name: only-one-reload-test",
    );
    project.ok(&["up", "-d", "--wait"]);
    save(&project, "two");
    // Asked again and again: some of it falls between the two runs, and none of it is refused.
    wait_for("an answer of the new run", LONG, || match get(&at, "/") {
        Some((200, body)) => body.ends_with("two").then_some(()),
        other => unreachable!("refused: {other:?}"),
    });
    let told = notices(&project);
    let (stopped, started) = (told.find("stopped after"), told.rfind("starting: "));
    assert!(stopped.is_some() && stopped < started, "one after the other: {told}");
}

#[test]
fn what_runs_its_sources_as_they_are_is_replaced_by_a_save_and_by_another_command() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = Project::new(&format!(
        r#"
name: reload
services:
  api:
    image: app
    ports: ["{port}:8080"]
    environment: {{NAME: api}}
    develop:
      watch:
        - {{action: sync+restart, path: ./src, target: /src}}
        - {{action: sync, path: ./pages, target: /pages}}
    x-devctl:
      native: {{command: [sh, src/app, first], ports: {{"8080": PORT}}, ready: /healthz}}
"#
    ));
    let app = |word: &str| format!("GENERATION=\"{word} $1\" exec python3 $SERVICE\n");
    project.write("src/app", &app("one"));
    project.write("pages/index.html", "hello");
    project.ok(&["up", "-d", "--wait"]);
    serves(&at, "one first");
    project.write("src/app", &app("two"));
    serves(&at, "two first");
    let told = wait_for("the line of the reload", LONG, || {
        Some(notices(&project)).filter(|told| told.contains("reloaded in"))
    });
    assert!(told.contains("app changed (swap ") && !told.contains("built"), "{told}");
    project.write("src/app", "exit 3\n");
    let why = wait_for("word of the new run that failed", LONG, || {
        Some(project.ok(&["why"]).out).filter(|why| why.contains("its last new run failed"))
    });
    assert!(why.contains("api  ready") && why.contains("it exited with 3"), "{why}");
    let listed = project.ok(&["ps"]).out;
    assert!(listed.contains(", its last new run failed"), "{listed}");
    serves(&at, "two first");
    project.write("src/app", &app("three"));
    serves(&at, "three first");
    let why = project.ok(&["why"]).out;
    assert!(why.contains("nothing waits"), "{why}");
    // What it looks at itself is no reason, and neither is the same command again.
    let before = project.pid("api");
    project.write("pages/index.html", "hello again");
    let compose = project.read("compose.yaml");
    project.write("compose.yaml", &compose.replace("src/app, first", "\"src/app\", first"));
    wait_for("word of the Compose file", LONG, || {
        notices(&project).contains("everything stays as it is").then_some(())
    });
    assert_eq!(project.pid("api"), before);
    project.write("compose.yaml", &compose.replace("first", "second"));
    serves(&at, "three second");
    let told = notices(&project);
    assert!(told.contains("the files were changed: recreate api"), "{told}");
}

#[test]
fn a_changed_compose_file_is_planned_anew_and_a_broken_one_changes_nothing() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let project = project(port, "{action: rebuild, path: ./src}", "");
    project.ok(&["up", "-d", "--wait"]);
    let compose = project.read("compose.yaml");
    project.write("compose.yaml", &compose.replace("services:", "services: ["));
    wait_for("word of the broken file", LONG, || {
        notices(&project).contains("the graph stays as it is").then_some(())
    });
    serves(&at, "one");
    project.write("compose.yaml", &compose);
    wait_for("word of the repaired file", LONG, || {
        notices(&project).contains("everything stays as it is").then_some(())
    });
    project.write("compose.yaml", &compose.replace("{NAME: api}", "{NAME: renamed}"));
    wait_for("the new name", LONG, || {
        get(&at, "/")
            .filter(|(_, body)| body.starts_with("renamed "))
            .map(|_| ())
    });
    let told = notices(&project);
    assert!(told.contains("the files were changed: recreate api"), "{told}");
}

#[test]
fn where_the_kernel_tells_of_no_changes_sources_are_looked_at_and_the_limit_is_named() {
    for (limit, named) in [
        (
            "0 > /proc/sys/user/max_inotify_instances",
            "fs.inotify.max_user_instances",
        ),
        ("1 > /proc/sys/user/max_inotify_watches", "fs.inotify.max_user_watches"),
    ] {
        let port = free_port();
        let at = format!("127.0.0.1:{port}");
        let project = project(port, "{action: rebuild, path: ./src}", "");
        if !project.up_in_namespaces(&[], &format!("echo {limit}")) {
            return;
        }
        serves(&at, "one");
        wait_for("word of the limit", LONG, || {
            notices(&project).contains(named).then_some(())
        });
        for word in ["two", "three"] {
            save(&project, word);
            serves(&at, word);
        }
        let told = notices(&project);
        assert_eq!(told.matches("looked at twice a second").count(), 1, "{told}");
    }
}
