//! Images from contexts.

use std::fs;
use std::path::Path;

use devctl_drivers::docker::build::{Build, BuildError, BuildSecret, Dockerfile};
use indexmap::IndexMap;

use crate::support::{BASE, ImageName, engine, environment};

fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn of(dir: &Path, image: &ImageName) -> Build {
    Build {
        context: dir.display().to_string(),
        image: image.0.clone(),
        ..Build::default()
    }
}

#[tokio::test]
async fn arguments_target_labels_and_the_ignore_file_count() {
    let Some(engine) = engine().await else { return };
    let dir = context(&[
        (
            "Dockerfile",
            "FROM busybox:latest AS base\nARG WHO=nobody\nCOPY . /src/\nRUN echo \"hello $WHO\" > /greeting && ls /src > /listing && grep db.test /etc/hosts\nENTRYPOINT [\"cat\"]\nCMD [\"/greeting\"]\nHEALTHCHECK --interval=3s --retries=7 CMD test -f /greeting\nUSER 12\nEXPOSE 80 53/udp\nSTOPSIGNAL SIGINT\nFROM base AS other\nRUN false\n",
        ),
        (".dockerignore", "secret\n"),
        ("secret", "x"),
        ("public", "y"),
    ]);
    let name = ImageName::new("build");
    let second = ImageName::new("build-second");
    let mut build = of(dir.path(), &name);
    build.args.insert("WHO".to_owned(), "Ada".to_owned());
    build.target = Some("base".to_owned());
    build.labels.insert("a".to_owned(), "b".to_owned());
    build.extra_hosts = vec!["db.test:10.1.2.3".to_owned(), "mq.test:10.1.2.4".to_owned()];
    build.tags = vec![second.0.clone()];
    let mut lines = Vec::new();
    let env = environment(dir.path());
    let image = build
        .run(&engine, &env, &mut |line| lines.push(line.to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (image.entrypoint, image.command),
        (vec!["cat".to_owned()], vec!["/greeting".to_owned()])
    );
    assert_eq!(image.user, "12");
    assert_eq!(image.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(image.labels.get("a").map(String::as_str), Some("b"));
    let mut ports = image.ports;
    ports.sort();
    assert_eq!(ports, [(53, "udp".to_owned()), (80, "tcp".to_owned())]);
    let health = image.health.unwrap();
    assert_eq!(health.retries, Some(7));
    assert_eq!(health.interval.unwrap().as_secs(), 3);
    assert!(lines.iter().any(|line| line.contains("COPY . /src/")), "{lines:?}");
    assert_eq!(engine.image(&second.0).await.unwrap().unwrap().id, image.id);
    let shown = |command: &str, file: &str| {
        let output = std::process::Command::new("docker")
            .args(["run", "--rm", "--entrypoint", command, &name.0, file])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(shown("cat", "/greeting"), "hello Ada\n");
    assert!(!shown("cat", "/listing").contains("secret"));
}

#[tokio::test]
async fn a_failed_step_is_named_with_what_it_printed() {
    let Some(engine) = engine().await else { return };
    let name = ImageName::new("build-fails");
    let steps = format!(
        "FROM busybox:latest\nLABEL devctl.test={}\nRUN echo before\nRUN echo 'no rule to make it' && exit 3\n",
        name.0
    );
    let dir = context(&[("Dockerfile", &steps)]);
    let env = environment(dir.path());
    let error = of(dir.path(), &name).run(&engine, &env, &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("no rule to make it' && exit 3`"), "{error}");
    assert_eq!(error.output(), ["no rule to make it"]);
    let missing = context(&[("Dockerfile", "FROM devctl-test-nothing:1\n")]);
    let error = of(missing.path(), &name)
        .run(&engine, &env, &mut |_| {})
        .await
        .unwrap_err();
    assert!(error.help().is_some(), "{error}");
    let BuildError::Failed { step, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(step.as_deref(), Some("FROM devctl-test-nothing:1"));
}

#[tokio::test]
async fn buildkit_builds_what_only_it_understands() {
    let Some(engine) = engine().await else { return };
    let name = ImageName::new("buildkit");
    let step = format!(
        "FROM busybox:latest\nRUN --mount=type=cache,target=/cache echo mounted && touch /cache/x && touch /made # {}\n",
        nonce()
    );
    let dir = context(&[("Dockerfile", &step)]);
    let env = environment(dir.path());
    let mut lines = Vec::new();
    let build = of(dir.path(), &name);
    build
        .run(&engine, &env, &mut |line| lines.push(line.to_owned()))
        .await
        .unwrap();
    assert!(lines.iter().any(|line| line == "mounted"), "{lines:?}");
    let failing = context(&[(
        "Dockerfile",
        "FROM busybox:latest\nRUN --mount=type=cache,target=/c echo sorry && exit 4\n",
    )]);
    let error = of(failing.path(), &name)
        .run(&engine, &env, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.output(), ["sorry"], "{error}");
    assert!(
        error
            .to_string()
            .contains("RUN --mount=type=cache,target=/c echo sorry"),
        "{error}"
    );
}

#[tokio::test]
async fn a_secret_is_there_while_building_and_in_no_layer() {
    let Some(engine) = engine().await else { return };
    let dir = context(&[
        (
            "Dockerfile",
            &format!(
                "FROM busybox:latest\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token | tee /length # {}\n",
                nonce()
            ),
        ),
        ("token", "12345"),
        (".dockerignore", "token"),
    ]);
    let name = ImageName::new("secret");
    let mut build = of(dir.path(), &name);
    let file = BuildSecret::File(dir.path().join("token"));
    build.secrets.insert("token".to_owned(), file);
    let mut lines = Vec::new();
    let env = environment(dir.path());
    let mut on_line = |line: &str| lines.push(line.to_owned());
    build.run(&engine, &env, &mut on_line).await.unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("RUN --mount=type=secret,id=token")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line == "5"), "{lines:?}");
    let shown = std::process::Command::new("docker")
        .args([
            "run",
            "--rm",
            &name.0,
            "sh",
            "-c",
            "cat /length; cat /run/secrets/token",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), "5");
    assert!(!shown.status.success());
}

#[tokio::test]
async fn a_secret_of_a_variable_and_another_directory_are_there_while_building() {
    let Some(engine) = engine().await else { return };
    let step = "FROM busybox:latest\nCOPY --from=further /in/it /copied\n\
        RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length\n";
    let dir = context(&[("Dockerfile", step)]);
    let further = tempfile::tempdir().unwrap();
    std::fs::create_dir(further.path().join("in")).unwrap();
    std::fs::write(further.path().join("in/it"), "from elsewhere").unwrap();
    let name = ImageName::new("further");
    let mut build = of(dir.path(), &name);
    build
        .secrets
        .insert("token".to_owned(), BuildSecret::Value("1234567".to_owned()));
    let place = further.path().display().to_string();
    build.additional_contexts.insert("further".to_owned(), place);
    let before = build.stamp().unwrap();
    build.run(&engine, &environment(dir.path()), &mut |_| {}).await.unwrap();
    let shown = std::process::Command::new("docker")
        .args(["run", "--rm", &name.0, "cat", "/copied", "/length"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "from elsewhere7\n");
    std::fs::write(further.path().join("in/it"), "another").unwrap();
    assert_ne!(
        build.stamp().unwrap(),
        before,
        "what is in the further directory belongs to the image"
    );
    let left = std::process::Command::new("docker")
        .args(["image", "ls", "-q", "devctl-context-*"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[tokio::test]
async fn a_failed_step_with_a_secret_is_named_as_any_other() {
    let Some(engine) = engine().await else { return };
    let name = ImageName::new("secret-fails");
    let dir = context(&[(
        "Dockerfile",
        "FROM busybox:latest\nRUN --mount=type=secret,id=token echo no such user && exit 4\n",
    )]);
    let mut build = of(dir.path(), &name);
    build
        .secrets
        .insert("token".to_owned(), BuildSecret::Value("x".to_owned()));
    let env = environment(dir.path());
    let error = build.run(&engine, &env, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.output(), ["no such user"], "{error}");
    assert!(
        error.to_string().contains("`RUN --mount=type=secret,id=token"),
        "{error}"
    );
    build.secrets["token"] = BuildSecret::File(dir.path().join("gone"));
    let error = build.run(&engine, &env, &mut |_| {}).await.unwrap_err();
    assert!(
        matches!(&error, BuildError::NoSecret { id, .. } if id == "token"),
        "{error}"
    );
    assert!(error.help().is_some());
}

/// Asks the agent at `SSH_AUTH_SOCK` for its keys, and to forget them all, and prints its answers.
const ASK: &str = r"perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; \
    for my $asked (11, 19) { print $s pack(q{NC}, 1, $asked); $s->flush; read($s, my $n, 4); read($s, my $said, unpack(q{N}, $n)); \
    print ord($said), q{ }, $said =~ /(of the [a-z]+)/, qq{\n} }'";

/// An agent that has one key and would forget it.
async fn fake_agent(socket: tokio::net::UnixListener) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    while let Ok((mut step, _)) = socket.accept().await {
        while let Ok(length) = step.read_u32().await {
            let mut asked = vec![0; length as usize];
            step.read_exact(&mut asked).await.unwrap();
            let mut said = vec![6];
            if asked[0] == 11 {
                said = b"\x0c\0\0\0\x01\0\0\0\x03key\0\0\0\x0cof the caller".to_vec();
                said[15] = 13;
            }
            step.write_u32(u32::try_from(said.len()).unwrap()).await.unwrap();
            step.write_all(&said).await.unwrap();
        }
    }
}

#[tokio::test]
async fn steps_ask_the_callers_agent_and_a_key_of_the_file() {
    let Some(engine) = crate::support::engine_with("debian:bookworm-slim").await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("deploy");
    let keygen = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "of the file", "-f"])
        .arg(&key)
        .status();
    match keygen {
        Ok(made) => assert!(made.success()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "ssh-keygen: {error}");
            eprintln!("skipped: ssh-keygen: {error}");
            return;
        }
    }
    let socket = dir.path().join("agent");
    let agent = tokio::spawn(fake_agent(tokio::net::UnixListener::bind(&socket).unwrap()));
    let name = ImageName::new("ssh");
    let mut build = of(dir.path(), &name);
    build.dockerfile = Dockerfile::Inline(format!(
        "FROM debian:bookworm-slim\nRUN --mount=type=ssh {ASK} # {nonce}\nRUN --mount=type=ssh,id=deploy {ASK} # {nonce}\n",
        nonce = nonce()
    ));
    build.ssh.insert("default".to_owned(), None);
    build.ssh.insert("deploy".to_owned(), Some(key));
    let mut env = environment(dir.path());
    env.insert("SSH_AUTH_SOCK".to_owned(), socket.display().to_string());
    let mut lines = Vec::new();
    let built = build.run(&engine, &env, &mut |line| lines.push(line.to_owned())).await;
    agent.abort();
    assert!(built.is_ok(), "{} {lines:#?}", built.unwrap_err());
    let said: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(said, ["12 of the caller", "5 ", "12 of the file", "5 "], "{lines:#?}");

    env.shift_remove("SSH_AUTH_SOCK");
    let error = build.run(&engine, &env, &mut |_| {}).await.unwrap_err();
    assert!(
        matches!(&error, BuildError::Agent { id, .. } if id == "default"),
        "{error}"
    );
    assert!(error.help().unwrap_or_default().contains("ssh-add"), "{error}");
    build.ssh.clear();
    let step = format!("FROM {BASE}\nRUN --mount=type=ssh,required true # {}\n", nonce());
    build.dockerfile = Dockerfile::Inline(step);
    let error = build.run(&engine, &env, &mut |_| {}).await.unwrap_err();
    let help = error.help().unwrap_or_default();
    assert!(help.contains("build.ssh"), "{error}; {help}");
}

#[tokio::test]
async fn what_the_engine_does_not_allow_is_told_with_where_to_allow_it() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let name = ImageName::new("privileged");
    let mut build = of(dir.path(), &name);
    build.dockerfile = Dockerfile::Inline("FROM busybox:latest\nRUN --mount=type=tmpfs,target=/t true\n".to_owned());
    build.entitlements = vec!["network.host".to_owned()];
    let env = environment(dir.path());
    build.run(&engine, &env, &mut |_| {}).await.unwrap();
    build.privileged = true;
    let error = build.run(&engine, &env, &mut |_| {}).await.unwrap_err();
    assert!(
        error.help().unwrap_or_default().contains("security-insecure"),
        "{error}"
    );
}

/// BuildKit takes what two builds ask for by one address as one thing.
#[tokio::test]
async fn builds_at_once_have_each_their_own_context() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let env = environment(dir.path());
    let names: Vec<ImageName> = (0..4)
        .map(|number| ImageName::new(&format!("at-once-{number}")))
        .collect();
    let builds = names.iter().map(|name| {
        let (engine, env, mut build) = (engine.clone(), env.clone(), of(dir.path(), name));
        let step = format!(
            "FROM {BASE}\nRUN --mount=type=secret,id=token echo {} > /which\n",
            name.0
        );
        build.dockerfile = Dockerfile::Inline(step);
        let secret = BuildSecret::Value("x".to_owned());
        build.secrets.insert("token".to_owned(), secret);
        async move { build.run(&engine, &env, &mut |_| {}).await }
    });
    for built in futures::future::join_all(builds).await {
        built.unwrap();
    }
    for name in &names {
        let shown = std::process::Command::new("docker")
            .args(["run", "--rm", &name.0, "cat", "/which"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), name.0);
    }
}

/// No earlier run has left it in the builder's cache: a step that is taken from there prints nothing.
fn nonce() -> String {
    format!("{} {:?}", std::process::id(), std::time::SystemTime::now())
}

#[tokio::test]
async fn a_build_that_is_given_up_ends_on_the_engine() {
    let ended = ends_when_given_up("plain", IndexMap::new()).await;
    assert!(ended, "the step still runs");
}

#[tokio::test]
async fn a_build_of_buildkits_that_is_given_up_ends_as_well() {
    let secret = BuildSecret::Value("x".to_owned());
    let ended = ends_when_given_up("kit", IndexMap::from([("token".to_owned(), secret)])).await;
    assert!(ended, "the step still runs");
}

async fn ends_when_given_up(way: &str, secrets: IndexMap<String, BuildSecret>) -> bool {
    let Some(engine) = engine().await else { return true };
    let marker = format!("devctl-test-given-up-{way}-{}", std::process::id());
    let name = ImageName::new(&format!("given-up-{way}"));
    let dir = tempfile::tempdir().unwrap();
    let mut build = of(dir.path(), &name);
    build.secrets = secrets;
    build.dockerfile = Dockerfile::Inline(format!("FROM {BASE}\nRUN echo {marker}; sleep 600\n"));
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let env = environment(dir.path());
    let task_engine = engine.clone();
    let task = tokio::spawn(async move {
        let mut on_line = |line: &str| {
            let _gone = told.send(line.to_owned());
        };
        build.run(&task_engine, &env, &mut on_line).await.map(|_| ())
    });
    while heard.recv().await.unwrap() != marker {}
    task.abort();
    // Bounded: the engine ends the step's container.
    for _ in 0..200 {
        let running = std::process::Command::new("docker")
            .args(["ps", "--no-trunc", "--format", "{{.Command}}"])
            .output()
            .unwrap();
        if !String::from_utf8_lossy(&running.stdout).contains(&marker) {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    false
}
