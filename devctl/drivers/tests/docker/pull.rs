//! Images that are there, and images that are not.

use std::time::Duration;

use devctl_drivers::docker::pull::{Pull, PullError, PullPolicy, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{BASE, engine, environment};

#[tokio::test]
async fn what_is_there_is_not_pulled_and_never_means_never() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let env = environment(dir.path());
    let mut told = Vec::new();
    let mut pull = Pull {
        image: BASE,
        platform: None,
        policy: PullPolicy::Missing,
        env: &env,
    };
    let image = ensure(&engine, &pull, &mut |progress| told.push(progress))
        .await
        .unwrap();
    assert!(image.id.starts_with("sha256:") && told.is_empty());
    pull.policy = PullPolicy::Never;
    pull.image = "devctl-test-nothing:1";
    let error = ensure(&engine, &pull, &mut |_| {}).await.unwrap_err();
    assert!(
        matches!(error, PullError::Forbidden { .. }) && error.help().is_some(),
        "{error}"
    );
}

#[tokio::test]
async fn an_old_image_is_better_than_none() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let env = environment(dir.path());
    // A registry that refuses: the image's own name must not be asked for elsewhere.
    let name = format!("127.0.0.1:9/devctl-test-old-{}", std::process::id());
    let tagged = std::process::Command::new("docker")
        .args(["tag", BASE, &name])
        .status()
        .unwrap();
    assert!(tagged.success());
    let mut told = Vec::new();
    let pull = Pull {
        image: &name,
        platform: None,
        policy: PullPolicy::Older(Duration::ZERO),
        env: &env,
    };
    let outcome = ensure(&engine, &pull, &mut |progress| told.push(progress.text)).await;
    let _gone = std::process::Command::new("docker")
        .args(["image", "rm", &name])
        .output();
    outcome.unwrap();
    assert!(
        told.iter().any(|text| text.contains("the image that is there is used")),
        "{told:?}"
    );
}

/// A registry that wants a login is shown the one that `config.json` has for it.
#[tokio::test]
async fn the_callers_login_goes_to_the_registry() {
    let Some(engine) = engine().await else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    // `ada:p?ss>`: bytes whose two alphabets of base64 differ.
    let config = format!(r#"{{"auths":{{"{registry}":{{"auth":"YWRhOnA/c3M+"}}}}}}"#);
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    let env = environment(dir.path());
    let image = format!("{registry}/private/api:1");
    let asked = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            while !text.windows(4).any(|end| end == b"\r\n\r\n") {
                match client.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => text.extend_from_slice(&buffer[..count]),
                }
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _gone = client.write_all(answer.as_bytes()).await;
            if let Some(line) = text
                .lines()
                .find(|line| line.to_lowercase().starts_with("authorization: basic "))
            {
                return line[21..].trim().to_owned();
            }
        }
    });
    let pull = Pull {
        image: &image,
        platform: None,
        policy: PullPolicy::Missing,
        env: &env,
    };
    let error = ensure(&engine, &pull, &mut |_| {}).await.unwrap_err();
    assert!(error.help().is_some(), "{error}");
    assert_eq!(asked.await.unwrap(), "YWRhOnA/c3M+");
}
