//! A server's databases, put back to what they were before anybody wrote to them: each is kept as a template, and copied from it.
//!
//! What a copy does not carry (rights on the database itself, its settings) makes a server one that cannot be put back; whoever
//! asked starts another one then.

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

/// How the template of a database is called.
const PREFIX: &str = "devctl_pristine_";

/// A server whose databases can be put back.
pub struct Pristine {
    client: Client,
    connection: JoinHandle<()>,
    databases: Vec<Database>,
}

struct Database {
    name: String,
    owner: String,
}

impl Drop for Pristine {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Pristine {
    /// Keeps every database as it is now; nobody may be connected to one. `config`: the server, and its superuser. None: one of
    /// them is more than a copy would be.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keep(config: &str, own: &str) -> Result<Option<Self>, tokio_postgres::Error> {
        let mut config: Config = config.parse()?;
        // Whatever is copied and dropped must not be connected to; this one is not.
        config.dbname("template1");
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(async move {
            // Its end is told to whoever asks the client next.
            let _ended = connection.await;
        });
        let mut pristine = Self {
            client,
            connection,
            databases: Vec::new(),
        };
        let found = pristine
            .client
            .query(
                "SELECT datname::text, pg_get_userbyid(datdba)::text, datacl IS NULL AND NOT EXISTS \
                 (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE NOT datistemplate \
                 AND (datname <> 'postgres' OR datname = $1)",
                &[&own],
            )
            .await?;
        for row in found {
            if !row.get::<_, bool>(2) {
                return Ok(None);
            }
            pristine.databases.push(Database {
                name: row.get(0),
                owner: row.get(1),
            });
        }
        for database in &pristine.databases {
            let (template, name) = (template(&database.name), identifier(&database.name));
            let copy = format!("CREATE DATABASE {template} TEMPLATE {name}");
            pristine.client.batch_execute(&copy).await?;
        }
        Ok(Some(pristine))
    }

    /// Puts every database back; whoever is connected is thrown out.
    ///
    /// # Errors
    /// What the server says.
    pub async fn put_back(&self) -> Result<(), tokio_postgres::Error> {
        for database in &self.databases {
            let (template, name) = (template(&database.name), identifier(&database.name));
            let owner = identifier(&database.owner);
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            self.client.batch_execute(&drop).await?;
            let copy = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {owner}");
            self.client.batch_execute(&copy).await?;
        }
        Ok(())
    }
}

fn template(database: &str) -> String {
    // A name has 63 bytes at most; one that is cut short is still the only one of its beginning, but for names that long.
    let name: String = format!("{PREFIX}{database}").chars().take(63).collect();
    identifier(&name)
}

/// A name as SQL writes it.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_no_longer_than_they_may_be() {
        assert_eq!(template("a\"b"), "\"devctl_pristine_a\"\"b\"");
        assert_eq!(template(&"x".repeat(80)).len(), 65);
    }
}
