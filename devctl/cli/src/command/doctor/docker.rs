//! Whether a Docker engine answers, and what it is: one request over its socket, so that no client library is needed here.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Finding, Grade};

/// An engine that does not answer within this is no engine to work with.
const PATIENCE: Duration = Duration::from_secs(2);

/// An engine, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// `1` or `2`.
    pub(crate) cgroups: String,
    /// Its storage driver.
    pub(crate) storage: String,
}

/// Asks the engine that `DOCKER_HOST` names, or the machine's, or the user's own.
pub(crate) fn engine(env: &dyn Fn(&str) -> Option<String>) -> Result<Engine, Finding> {
    let absent = |text: String| {
        Finding::new(Grade::Note, "Docker", text)
            .help("none is needed for services that say `x-devctl.native`, PostgreSQL and RabbitMQ; `apt-get install docker.io` has one")
    };
    let sockets = match env("DOCKER_HOST").filter(|host| !host.is_empty()) {
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) => vec![PathBuf::from(path)],
            None => {
                return Err(Finding::new(
                    Grade::Note,
                    "Docker",
                    format!("the engine at `{host}` was not asked: not a local socket"),
                ));
            }
        },
        None => {
            let own = env("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("docker.sock"));
            std::iter::once(PathBuf::from("/var/run/docker.sock"))
                .chain(own)
                .collect()
        }
    };
    let Some(socket) = sockets.iter().find(|socket| socket.exists()) else {
        return Err(absent("no engine".into()));
    };
    let answer = ask(socket).map_err(|err| match err.kind() {
        std::io::ErrorKind::PermissionDenied => Finding::new(
            Grade::Lack,
            "Docker",
            format!("`{}` is closed to this user", socket.display()),
        )
        .help("`sudo usermod -aG docker $USER`, then log in again"),
        _ => absent(format!("no engine answers at `{}` ({err})", socket.display())),
    })?;
    let text = |key: &str| answer[key].as_str().unwrap_or("?").to_owned();
    Ok(Engine {
        socket: socket.clone(),
        version: text("ServerVersion"),
        cgroups: answer["CgroupVersion"].as_str().unwrap_or("1").to_owned(),
        storage: text("Driver"),
    })
}

impl Engine {
    /// The engine as a finding.
    pub(crate) fn finding(&self) -> Finding {
        let text = format!(
            "engine {} at `{}`, cgroup v{}, {}",
            self.version,
            self.socket.display(),
            self.cgroups,
            self.storage
        );
        Finding::new(Grade::Good, "Docker", text)
    }
}

/// `GET /info`, in HTTP/1.0 so that the body simply ends.
fn ask(socket: &Path) -> std::io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let body = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| &answer[at + 4..]);
    let parsed = body.and_then(|body| serde_json::from_slice(body).ok());
    parsed.ok_or_else(|| std::io::Error::other("its answer is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_engine_says_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let read = stream.read(&mut request).unwrap();
            let body = r#"{"ServerVersion":"20.10.24","CgroupVersion":"1","Driver":"overlay2"}"#;
            write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"
            )
            .unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let host = format!("unix://{}", socket.display());
        let found = engine(&|name| (name == "DOCKER_HOST").then(|| host.clone())).unwrap();
        assert_eq!((found.version.as_str(), found.cgroups.as_str()), ("20.10.24", "1"));
        assert!(served.join().unwrap().starts_with("GET /info "));
    }

    #[test]
    fn a_socket_that_nobody_serves_is_no_engine() {
        let dir = tempfile::tempdir().unwrap();
        let host = format!("unix://{}/docker.sock", dir.path().display());
        let finding = engine(&|name| (name == "DOCKER_HOST").then(|| host.clone())).unwrap_err();
        assert_eq!((finding.grade, finding.text.as_str()), (Grade::Note, "no engine"));
        assert!(finding.help.is_some());
    }
}
