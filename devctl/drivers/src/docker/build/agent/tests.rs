use tokio::io::AsyncReadExt as _;
use tokio_util::io::StreamReader;

use super::*;

fn environment() -> IndexMap<String, String> {
    std::env::vars().filter(|(name, _)| name != "SSH_AUTH_SOCK").collect()
}

fn one(id: &str, path: Option<&Path>) -> IndexMap<String, Option<PathBuf>> {
    IndexMap::from([(id.to_owned(), path.map(Path::to_owned))])
}

/// `None` where this machine has no OpenSSH.
async fn key(dir: &Path, passphrase: &str) -> Option<PathBuf> {
    let path = dir.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "a-test's-key", "-N", passphrase, "-f"])
        .arg(&path)
        .output()
        .await;
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{made:?}");
            Some(path)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "ssh-keygen: {error}");
            eprintln!("skipped: ssh-keygen: {error}");
            None
        }
    }
}

/// What an agent answers to these messages.
async fn ask(socket: &Path, messages: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut step, answered) = tokio::io::duplex(4096);
    for message in messages {
        step.write_u32(u32::try_from(message.len()).unwrap()).await.unwrap();
        step.write_all(message).await.unwrap();
    }
    step.shutdown().await.unwrap();
    let agent = UnixStream::connect(socket).await.unwrap();
    let mut bytes = StreamReader::new(Box::pin(answers(answered, agent)));
    let mut all = Vec::new();
    while let Ok(length) = bytes.read_u32().await {
        let mut answer = vec![0; length as usize];
        bytes.read_exact(&mut answer).await.unwrap();
        all.push(answer);
    }
    all
}

#[tokio::test]
async fn without_an_agent_the_next_step_is_told() {
    let (id, error) = Agents::gather(&one("default", None), &environment()).await.unwrap_err();
    assert_eq!(id, "default");
    assert!(error.to_string().contains("`SSH_AUTH_SOCK` is not set"), "{error}");
    assert!(error.help(&id).contains("`ssh-add`"), "{}", error.help(&id));
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    let (id, error) = Agents::gather(&one("deploy", Some(&gone)), &environment())
        .await
        .unwrap_err();
    assert!(matches!(error, AgentError::NoKey { .. }), "{error}");
    assert!(error.help(&id).contains("`deploy`"));
    let mut env = environment();
    env.insert("SSH_AUTH_SOCK".to_owned(), gone.display().to_string());
    let (_, error) = Agents::gather(&one("default", None), &env).await.unwrap_err();
    assert!(matches!(error, AgentError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_key_is_held_by_an_agent_that_a_step_can_only_ask() {
    let dir = tempfile::tempdir().unwrap();
    let Some(key) = key(dir.path(), "").await else { return };
    let agents = Agents::gather(&one("deploy", Some(&key)), &environment())
        .await
        .unwrap();
    let socket = agents.socket("deploy").unwrap();
    // Remove all keys, lock, and then: which keys are there?
    let answers = ask(socket, &[&[19], &[22, 0, 0, 0, 1, b'x'], &[11]]).await;
    assert_eq!(answers[..2], [vec![FAILURE], vec![FAILURE]]);
    assert_eq!(answers[2][..5], [12, 0, 0, 0, 1], "one key is still there");
    let socket = socket.to_owned();
    drop(agents);
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_key_with_a_passphrase_is_for_the_callers_own_agent() {
    let dir = tempfile::tempdir().unwrap();
    let Some(key) = key(dir.path(), "open sesame").await else {
        return;
    };
    let (id, error) = Agents::gather(&one("deploy", Some(&key)), &environment())
        .await
        .unwrap_err();
    assert!(matches!(error, AgentError::NotTaken { .. }), "{error}");
    assert!(error.help(&id).contains("ssh-add"), "{}", error.help(&id));
    assert!(!error.to_string().contains('\n'), "{error}");
}
