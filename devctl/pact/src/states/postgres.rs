//! SQL steps in PostgreSQL. Values are bound as text of the type that the statement wants; the reset is one TRUNCATE, and
//! what the migrations had put in is put back (`frozen.rs`).

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};
use tokio_postgres::{Client, NoTls};

use super::fill::string;
use super::frozen::Frozen;
use super::steps::{SqlSteps, StepError};

/// A reset that meets the provider's own transaction is tried again this often.
const ATTEMPTS: usize = 5;

/// A provider's database. Its connection ends when this is dropped.
pub struct Postgres {
    client: Client,
    connection: JoinHandle<()>,
    /// As it was at the first reset: its migrations were done.
    frozen: tokio::sync::OnceCell<Frozen>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Postgres {
    /// Connects; `config` is a URL or `host=... user=...`. The first reset sees what all others bring back: the schema is taken to be done by then.
    ///
    /// # Errors
    ///
    /// Where there is no such server, database or user.
    pub async fn connect(config: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection for provider states ended");
            }
        });
        client
            .batch_execute("SET lock_timeout = '2s'; SET client_min_messages = error")
            .await?;
        Ok(Self {
            client,
            connection,
            frozen: tokio::sync::OnceCell::new(),
        })
    }
}

#[async_trait]
impl SqlSteps for Postgres {
    async fn reset(&self, keep: &[String]) -> Result<(), StepError> {
        let frozen = self.frozen.get_or_try_init(|| Frozen::take(&self.client)).await;
        let frozen = frozen.map_err(|cause| failed("what the migrations have left", cause))?;
        let Some(sql) = frozen.reset(keep) else {
            return Ok(());
        };
        for attempt in 1.. {
            match self.client.batch_execute(&sql).await {
                Ok(()) => break,
                Err(cause) if attempt < ATTEMPTS && is_conflict(&cause) => {}
                Err(cause) => return Err(failed(&sql, cause)),
            }
        }
        Ok(())
    }

    async fn execute(&self, sql: &str, values: &[Value]) -> Result<(), StepError> {
        let bound: Vec<Text> = values.iter().map(Text::of).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client
            .execute(sql, &bound)
            .await
            .map(drop)
            .map_err(|cause| failed(sql, cause))
    }

    async fn holds(&self, sql: &str, values: &[Value]) -> Result<bool, StepError> {
        let bound: Vec<Text> = values.iter().map(Text::of).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let row = self
            .client
            .query_opt(sql, &bound)
            .await
            .map_err(|cause| failed(sql, cause))?;
        let value: Option<bool> = match row {
            Some(row) => row.try_get(0).map_err(|cause| failed(sql, cause))?,
            None => None,
        };
        Ok(value == Some(true))
    }
}

fn failed(sql: &str, cause: tokio_postgres::Error) -> StepError {
    StepError::Sql {
        sql: sql.to_owned(),
        cause,
    }
}

/// The provider's own transaction was in the way, such as an outbox that is being read.
fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE].contains(code))
}

/// A value in PostgreSQL's text form: the server reads it as whatever type the statement wants.
#[derive(Debug)]
struct Text(Option<String>);

impl Text {
    fn of(value: &Value) -> Self {
        Self((!value.is_null()).then(|| string(value)))
    }
}

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}
