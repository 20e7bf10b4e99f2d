//! psql, wherever the server is: this machine's own beside a process, the image's own in a container.

use std::process::Stdio;

use devctl_drivers::docker::ExecSpec;
use devctl_drivers::postgres;
use tokio::io::AsyncWriteExt as _;

use crate::command::exec;
use crate::error::Error;
use crate::exit::Exit;
use crate::foreground::{self, Wiring};
use crate::project::Project;
use crate::standing::{self, Container, Standing};

/// How to log in.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    host: String,
    port: u16,
    user: String,
    password: String,
    pub(super) database: String,
}

impl Login {
    /// As PostgreSQL's clients read it.
    pub(super) fn config(&self) -> String {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"));
        format!(
            "host={} port={} user={} password={} dbname={}",
            quoted(&self.host),
            self.port,
            quoted(&self.user),
            quoted(&self.password),
            quoted(&self.database)
        )
    }
}

/// A server, and the psql that reaches it.
pub(super) struct Psql {
    pub(super) login: Login,
    place: Place,
}

enum Place {
    Here(Box<devctl_wire::v1::InsideReply>),
    Container(Box<Container>),
}

/// The service's server, which must run.
pub(super) async fn find(project: &Project, service: &str) -> Result<Psql, Error> {
    let is_none = || {
        Error::usage(
            format!("`{service}` is no PostgreSQL that devctl knows"),
            "name the service whose image is `postgres`",
        )
    };
    match standing::running(project, service, 1).await? {
        Standing::Process(inside) => {
            let login = inside.postgres.clone().ok_or_else(is_none)?;
            let login = Login {
                host: login.host,
                port: u16::try_from(login.port).unwrap_or_default(),
                user: login.user,
                password: login.password,
                database: login.database,
            };
            Ok(Psql {
                login,
                place: Place::Here(inside),
            })
        }
        Standing::Container(container) => {
            let model = project.model.services.get(service).ok_or_else(is_none)?;
            let said = |name: &str| {
                model
                    .environment
                    .get(name)
                    .cloned()
                    .flatten()
                    .filter(|value| !value.is_empty())
            };
            let image = model.image.as_deref().unwrap_or_default();
            if !image.contains("postg") && said("POSTGRES_PASSWORD").is_none() && said("POSTGRES_USER").is_none() {
                return Err(is_none());
            }
            let user = said("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
            let seen = container
                .engine
                .look(&container.id)
                .await
                .map_err(|error| standing::refused(&error))?;
            let ip = seen.and_then(|seen| seen.addresses.into_values().next());
            let login = Login {
                host: ip.map(|ip| ip.to_string()).unwrap_or_default(),
                port: 5432,
                database: said("POSTGRES_DB").unwrap_or_else(|| user.clone()),
                password: said("POSTGRES_PASSWORD").unwrap_or_default(),
                user,
            };
            Ok(Psql {
                login,
                place: Place::Container(container),
            })
        }
        Standing::Idle(_) | Standing::Nowhere => Err(is_none()),
    }
}

impl Psql {
    /// psql in the foreground.
    pub(super) async fn shell(&self, arguments: &[String]) -> Result<Exit, Error> {
        match &self.place {
            Place::Here(_) => {
                let mut command = self.here(&self.login.database)?;
                command.args(arguments);
                foreground::process(command).await
            }
            Place::Container(container) => {
                let tty = foreground::has_terminal();
                let mut spec = self.inside(&self.login.database);
                spec.command.extend(arguments.iter().cloned());
                let attached = container.engine.exec_attached(&container.id, &spec, tty, true).await;
                let attached = attached.map_err(|error| standing::refused(&error))?;
                let wiring = Wiring {
                    tty,
                    stdin: true,
                    detach: None,
                };
                Ok(foreground::converse(attached, wiring, async |_| false).await?.exit())
            }
        }
    }

    /// Statements, one after the other, each a transaction of its own; the answers' lines, columns apart by `|`.
    pub(super) async fn ask(&self, database: &str, statements: &[String]) -> Result<String, Error> {
        let mut arguments: Vec<String> = ["-qtAX", "-v", "ON_ERROR_STOP=1"].map(str::to_owned).to_vec();
        for statement in statements {
            arguments.extend(["-c".to_owned(), statement.clone()]);
        }
        let (ok, text) = match &self.place {
            Place::Here(_) => {
                let mut command = self.here(database)?;
                command.args(&arguments).stdin(Stdio::null());
                let output = command.output().await.map_err(|source| Error::Io {
                    doing: "run `psql`".into(),
                    source,
                    help: None,
                })?;
                let said = if output.status.success() {
                    output.stdout
                } else {
                    output.stderr
                };
                (output.status.success(), String::from_utf8_lossy(&said).into_owned())
            }
            Place::Container(container) => {
                let mut spec = self.inside(database);
                spec.command.extend(arguments);
                let outcome = container.engine.exec(&container.id, &spec, None, |_| {}).await;
                let outcome = outcome.map_err(|error| standing::refused(&error))?;
                (outcome.code == Some(0), outcome.output)
            }
        };
        match ok {
            true => Ok(text.trim_end().to_owned()),
            false => Err(failed(&text)),
        }
    }

    /// A file of SQL, whole or not at all.
    pub(super) async fn script(&self, text: &str) -> Result<(), Error> {
        let arguments = ["-qX", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-"].map(str::to_owned);
        match &self.place {
            Place::Here(_) => {
                let mut command = self.here(&self.login.database)?;
                command
                    .args(arguments)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped());
                let io = |source| Error::Io {
                    doing: "run `psql`".into(),
                    source,
                    help: None,
                };
                let mut child = command.spawn().map_err(io)?;
                let stdin = child.stdin.take();
                let write = async {
                    if let Some(mut stdin) = stdin {
                        // One that stops reading says why.
                        let _ = stdin.write_all(text.as_bytes()).await;
                    }
                };
                let (output, ()) = tokio::join!(child.wait_with_output(), write);
                let output = output.map_err(io)?;
                match output.status.success() {
                    true => Ok(()),
                    false => Err(failed(&String::from_utf8_lossy(&output.stderr))),
                }
            }
            Place::Container(container) => {
                let mut spec = self.inside(&self.login.database);
                spec.command.extend(arguments);
                let refused = |error: devctl_drivers::docker::DockerError| standing::refused(&error);
                let mut attached = container
                    .engine
                    .exec_attached(&container.id, &spec, false, true)
                    .await
                    .map_err(refused)?;
                let _stops_reading = attached.input.write_all(text.as_bytes()).await;
                let _ended = attached.input.shutdown().await;
                let mut said = Vec::new();
                while let Some((_, bytes)) = attached.next().await {
                    said.extend_from_slice(&bytes);
                }
                match attached.exit().await.map_err(refused)? {
                    0 => Ok(()),
                    _ => Err(failed(&String::from_utf8_lossy(&said))),
                }
            }
        }
    }

    fn here(&self, database: &str) -> Result<tokio::process::Command, Error> {
        let Place::Here(inside) = &self.place else {
            return Err(Error::usage("the server is in a container", "use the psql there"));
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let own = devctl_drivers::process::find_program("psql", &path);
        let beside = || {
            let mut found = postgres::discover(&path)
                .into_iter()
                .map(|found| found.bin.join("psql"));
            found.rfind(|psql| psql.is_file())
        };
        let program = own.or_else(beside).ok_or_else(|| Error::Unmet {
            what: "this machine has no `psql`".to_owned(),
            help: Some("`apt-get install postgresql-client` has it".to_owned()),
        })?;
        let mut command = exec::command(inside, &[program.display().to_string()])?;
        // One's own history and settings, and the directory where the files are that one names.
        command.envs(
            ["HOME", "PAGER", "EDITOR", "LANG"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command.current_dir(std::env::current_dir().unwrap_or_else(|_| "/".into()));
        command.env("PGDATABASE", database);
        Ok(command)
    }

    fn inside(&self, database: &str) -> ExecSpec {
        let words = ["psql", "-U", &self.login.user, "-d", database];
        ExecSpec {
            command: words.map(str::to_owned).to_vec(),
            env: vec![format!("PGPASSWORD={}", self.login.password)],
            ..ExecSpec::default()
        }
    }
}

/// psql's own sentence, without what it says of itself.
fn failed(said: &str) -> Error {
    let said = said.trim();
    let line = said
        .lines()
        .find(|line| line.contains("ERROR:") || line.contains("FATAL:"))
        .or_else(|| said.lines().next());
    let what = line.unwrap_or("psql said nothing").trim();
    Error::Unmet {
        what: format!("PostgreSQL refused: {what}"),
        help: None,
    }
}
