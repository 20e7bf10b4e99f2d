//! A real log-in and a real query: a server that is starting up accepts connections and then refuses them.

use std::net::SocketAddr;

use tokio::net::UnixStream;
use tokio_postgres::{Config, NoTls};

use super::{PostgresHost, PostgresLogin};

/// Ready is what answers `SELECT 1`.
pub(super) async fn select_one(login: &PostgresLogin) -> Result<String, String> {
    execute(login, "SELECT 1").await.map(|()| "SELECT 1".to_owned())
}

/// Logs in and executes statements; what they answer is not looked at.
pub(crate) async fn execute(login: &PostgresLogin, statements: &str) -> Result<(), String> {
    let mut config = Config::new();
    config
        .user(&login.user)
        .dbname(&login.database)
        .application_name("devctl-probe");
    if let Some(password) = &login.password {
        config.password(password);
    }
    match &login.host {
        PostgresHost::Tcp(addr) => {
            let stream = super::connect(*addr).await?;
            session(&config, stream, statements).await
        }
        PostgresHost::Unix(dir, port) => {
            let path = dir.join(format!(".s.PGSQL.{port}"));
            let stream = UnixStream::connect(&path)
                .await
                .map_err(|error| format!("connect to {}: {}", path.display(), super::brief(&error)))?;
            session(&config, stream, statements).await
        }
    }
}

async fn session<S>(config: &Config, stream: S, statements: &str) -> Result<(), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(describe)?;
    let query = async { client.simple_query(statements).await.map(|_| ()).map_err(describe) };
    tokio::pin!(query);
    tokio::select! {
        told = &mut query => told,
        ended = connection => match ended {
            Ok(()) => Err("connection closed".into()),
            Err(error) => Err(describe(error)),
        },
    }
}

/// The server's own words where there are any: `Display` says merely "db error".
fn describe(error: tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{}: {}", said.severity(), said.message()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Where it is, for messages.
impl std::fmt::Display for PostgresHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(addr) => SocketAddr::fmt(addr, f),
            Self::Unix(dir, port) => write!(f, "{}/.s.PGSQL.{port}", dir.display()),
        }
    }
}
