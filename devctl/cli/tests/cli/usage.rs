//! Help, unknown verbs and flags, and the verbs that need no project.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn unknown_verbs_and_flags_are_bad_usage() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["restrat"]), @r#"
    status: 2
    --- stderr
    error: unrecognized subcommand 'restrat'

      tip: some similar subcommands exist: 'test', 'start', 'restart'

    Usage: devctl [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
    assert_snapshot!(sandbox.devctl(&["up", "--watt"]), @r#"
    status: 2
    --- stderr
    error: unexpected argument '--watt' found

      tip: a similar argument exists: '--wait'

    Usage: devctl up --wait [SERVICE]...

    For more information, try '--help'.
    "#);
    assert_snapshot!(sandbox.devctl(&["up", "--build", "--no-build"]), @r#"
    status: 2
    --- stderr
    error: the argument '--build' cannot be used with '--no-build'

    Usage: devctl up --build --runtime <[SERVICE=]RUNTIME> [SERVICE]...

    For more information, try '--help'.
    "#);
    assert_snapshot!(sandbox.devctl(&["up", "--scale", "api"]), @r#"
    status: 2
    --- stderr
    error: invalid value 'api' for '--scale <SERVICE=NUM>': write it as SERVICE=NUM

    For more information, try '--help'.
    "#);
    assert_snapshot!(sandbox.devctl(&["kill", "-s", "SIGNOPE"]), @r#"
    status: 2
    --- stderr
    error: invalid value 'SIGNOPE' for '--signal <SIGNAL>': not a signal; write for example SIGTERM, HUP or 9

    For more information, try '--help'.
    "#);
}

#[test]
fn version_is_said_in_each_shape() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["version"]), @r#"
    status: 0
    --- stdout
    devctl [VERSION]
    "#);
    assert_snapshot!(sandbox.devctl(&["version", "--short"]), @r#"
    status: 0
    --- stdout
    [VERSION]
    "#);
    assert_snapshot!(sandbox.devctl(&["version", "-f", "json"]), @r#"
    status: 0
    --- stdout
    {"version":"[VERSION]"}
    "#);
    assert_snapshot!(sandbox.devctl(&["--version"]), @r#"
    status: 0
    --- stdout
    devctl [VERSION]
    "#);
}

#[test]
fn completion_offers_verbs_and_services() {
    let sandbox = Sandbox::shop();
    let complete = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let mut args = vec!["--"];
        args.extend(words);
        let output = sandbox
            .command(&args)
            .env("DEVCTL_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", index)
            .env("_CLAP_IFS", "\n")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["devctl", "res"]), "restart");
    assert_eq!(complete(&["devctl", "restart", "s"]), "seed");
    assert_eq!(complete(&["devctl", "-f", "compose.yaml", "logs", "-f", "d"]), "db");
    assert_eq!(complete(&["devctl", "-f", "missing.yaml", "logs", "d"]), "");
}

#[test]
fn manual_pages_are_made_for_every_verb() {
    let sandbox = Sandbox::shop();
    let shown = sandbox.devctl(&["man", "--output", "man"]);
    assert_eq!(shown, "status: 0\n");
    let mut pages: Vec<String> = std::fs::read_dir(sandbox.dir().join("man"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(
        pages.contains(&"devctl-up.1".to_owned()) && pages.contains(&"devctl.1".to_owned()),
        "{pages:?}"
    );
    assert!(!pages.iter().any(|page| page.contains("__")), "{pages:?}");
    assert_snapshot!(sandbox.devctl(&["man", "pss"]), @r#"
    status: 2
    --- stderr
    error: there is no verb `pss`
     help: did you mean `ps`?
    "#);
}

#[test]
fn the_schema_is_json() {
    let sandbox = Sandbox::shop();
    let output = sandbox.command(&["schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["$schema"].is_string(), "{schema}");
}
