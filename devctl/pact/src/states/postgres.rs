//! SQL steps in PostgreSQL. Values are bound as text of the type that the statement wants; the reset is one TRUNCATE.

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};
use tokio_postgres::{Client, NoTls};

use super::fill::string;
use super::steps::{SqlSteps, StepError};

/// Every table that holds data: not the system's, not an extension's, of a partitioned one only the whole.
const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname), n.nspname || '.' || c.relname, c.relname::text \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' \
    AND n.nspname <> 'information_schema' \
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1";

/// A reset that meets the provider's own transaction is tried again this often.
const ATTEMPTS: usize = 5;

/// A provider's database. Its connection ends when this is dropped.
pub struct Postgres {
    client: Client,
    connection: JoinHandle<()>,
    tables: tokio::sync::OnceCell<Vec<Table>>,
}

struct Table {
    quoted: String,
    names: [String; 2],
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Postgres {
    /// Connects; `config` is a URL or `host=... user=...`. Tables are looked up once: the schema is taken to be done.
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
            tables: tokio::sync::OnceCell::new(),
        })
    }

    async fn tables(&self) -> Result<&[Table], StepError> {
        let found = self.tables.get_or_try_init(async || {
            let rows = self.client.query(TABLES, &[]).await?;
            let table = |row: &tokio_postgres::Row| Table {
                quoted: row.get(0),
                names: [row.get(1), row.get(2)],
            };
            Ok(rows.iter().map(table).collect())
        });
        found
            .await
            .map(Vec::as_slice)
            .map_err(|cause| failed("the list of tables", cause))
    }
}

#[async_trait]
impl SqlSteps for Postgres {
    async fn reset(&self, keep: &[String]) -> Result<(), StepError> {
        let kept = |table: &&Table| !table.names.iter().any(|name| keep.contains(name));
        let tables: Vec<&str> = self
            .tables()
            .await?
            .iter()
            .filter(kept)
            .map(|table| table.quoted.as_str())
            .collect();
        if tables.is_empty() {
            return Ok(());
        }
        // No CASCADE: it would empty a kept table that refers to one of these.
        let sql = format!("TRUNCATE {} RESTART IDENTITY", tables.join(", "));
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
