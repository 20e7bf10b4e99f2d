//! What a database holds once its migrations are done: every reset brings it back to that. Tables are emptied; rows that were
//! there (reference data, the migrations' own record) are kept in tables beside them and put back, and sequences go on from where
//! they stood. A few milliseconds, with the provider connected all the while.

use tokio_postgres::{Client, Error};

/// Where the rows are kept.
const BESIDE: &str = "devctl_frozen";

/// Every table that holds data: not the system's, not an extension's, of a partitioned one only the whole.
const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname), n.nspname || '.' || c.relname, c.relname::text, c.oid \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' \
    AND n.nspname NOT IN ('information_schema', 'devctl_frozen') \
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1";

/// The columns of a table that can be written.
const COLUMNS: &str = "SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute \
    WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";

/// The sequences of a table's columns.
const SEQUENCES: &str = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_depend d \
    JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE d.refobjid = $1 AND d.deptype IN ('a', 'i') ORDER BY 1";

/// A database as it was.
pub(super) struct Frozen {
    tables: Vec<Table>,
}

struct Table {
    quoted: String,
    names: [String; 2],
    /// Statements that put back what it held; empty where it held nothing.
    restore: String,
}

impl Frozen {
    /// Looks at the database, and keeps what is in it.
    pub(super) async fn take(client: &Client) -> Result<Self, Error> {
        let mut tables = Vec::new();
        for (at, row) in client.query(TABLES, &[]).await?.into_iter().enumerate() {
            let quoted: String = row.get(0);
            let any = format!("SELECT EXISTS (SELECT FROM {quoted})");
            let restore = match client.query_one(&any, &[]).await?.get(0) {
                true => keep(client, &quoted, row.get(3), at).await?,
                false => String::new(),
            };
            tables.push(Table {
                quoted,
                names: [row.get(1), row.get(2)],
                restore,
            });
        }
        Ok(Self { tables })
    }

    /// The statements of a reset, one transaction when sent at once; those tables are left as they are. None: there is nothing to reset.
    pub(super) fn reset(&self, leave: &[String]) -> Option<String> {
        let left = |table: &&Table| !table.names.iter().any(|name| leave.contains(name));
        let tables: Vec<&Table> = self.tables.iter().filter(left).collect();
        let names: Vec<&str> = tables.iter().map(|table| table.quoted.as_str()).collect();
        if names.is_empty() {
            return None;
        }
        // No CASCADE: it would empty a table that is left and refers to one of these.
        let mut sql = format!("TRUNCATE {} RESTART IDENTITY", names.join(", "));
        let restore: Vec<&str> = tables.iter().map(|table| table.restore.as_str()).collect();
        let restore = restore.concat();
        if !restore.is_empty() {
            // Rows come back in whatever order, and are nobody's insertion: neither foreign keys nor triggers have a say.
            sql = format!("SET LOCAL session_replication_role = replica; {sql}; {restore}");
        }
        Some(sql)
    }
}

/// Keeps a table's rows beside it; the statements that put them back.
async fn keep(client: &Client, quoted: &str, table: u32, at: usize) -> Result<String, Error> {
    let columns: Option<String> = client.query_one(COLUMNS, &[&table]).await?.get(0);
    let columns = columns.unwrap_or_default();
    let kept = format!("{BESIDE}.t{at}");
    client
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {BESIDE}; DROP TABLE IF EXISTS {kept}; \
             CREATE UNLOGGED TABLE {kept} AS SELECT {columns} FROM {quoted}"
        ))
        .await?;
    let mut restore =
        format!("INSERT INTO {quoted} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {kept}; ");
    for row in client.query(SEQUENCES, &[&table]).await? {
        let sequence: String = row.get(0);
        let stood = client
            .query_one(&format!("SELECT last_value, is_called FROM {sequence}"), &[])
            .await?;
        let (last, called): (i64, bool) = (stood.get(0), stood.get(1));
        let literal = sequence.replace('\'', "''");
        restore.push_str(&format!("SELECT setval('{literal}', {last}, {called}); "));
    }
    Ok(restore)
}
