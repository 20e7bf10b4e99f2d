//! What is created without being started, from a registry that never hands out its image.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::containers::project;

/// It may be a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Says that it is a registry, and then no more: those who ask for an image are handed over while they wait.
fn silent_registry() -> (u16, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (asked, asking) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let count = stream.read(&mut request).unwrap_or_default();
            // One that tries TLS first is shown that there is none.
            if request[..count].starts_with(b"GET /v2/ ") {
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            } else if request[..count].windows(11).any(|word| word == b"/manifests/") && asked.send(stream).is_err() {
                return;
            }
        }
    });
    (port, asking)
}

#[test]
fn what_is_taken_down_while_its_image_is_pulled_is_never_made_and_nobody_is_told_that_it_was() {
    let (port, asking) = silent_registry();
    let compose = format!(
        r#"
services:
  web: {{image: web, x-devctl: {{native: {{command: [sleep, "600"]}}}}}}
  slow: {{image: "127.0.0.1:{port}/slow:1"}}
"#
    );
    let Some(project) = project(&compose) else { return };
    project.ok(&["up", "-d", "--wait", "web"]);
    let creating = project
        .project
        .command(&["--runtime", "auto", "up", "--no-start", "slow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("devctl");
    let _pull = asking.recv_timeout(LIMIT).expect("it is pulled");
    project.ok(&["down", "slow"]);
    let told = creating.wait_with_output().expect("its words");
    let told = [told.stdout, told.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("stopped in") && !told.contains("done in"), "{told}");
    let left: Vec<String> = project
        .project
        .nodes()
        .iter()
        .map(|node| node["Service"].to_string())
        .collect();
    assert_eq!(left, ["\"web\""]);
}
