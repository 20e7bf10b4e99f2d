//! Resets: the database is dropped and copied from a template, which PostgreSQL does in milliseconds.
//!
//! The template is made at the first reset (a copy of the database as it is, its tables emptied but for the records of
//! migrations) or by `save` (a copy with its data). A template that was made from another schema is made anew.

use std::time::Instant;

use super::psql::Psql;
use crate::error::Error;

/// Names of tables that record which migrations have run, in the fashion of many tools.
const MIGRATIONS: &str = "(migration|schema_version|schema_info|flyway|databasechange|goose_db|alembic|ar_internal_metadata|refinery_schema|atlas_schema)";

/// Schema of the database in one word: columns, indexes, constraints, functions, and how far its migrations are.
const FINGERPRINT: &str = "SELECT md5(coalesce((SELECT string_agg(concat_ws('.', table_schema, table_name, column_name, data_type, column_default), ',' ORDER BY table_schema, table_name, ordinal_position) FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')), '') || coalesce((SELECT string_agg(indexdef, ',' ORDER BY indexdef) FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema')), '') || coalesce((SELECT string_agg(pg_get_constraintdef(oid), ',' ORDER BY oid) FROM pg_constraint), '') || coalesce((SELECT string_agg(md5(prosrc), ',' ORDER BY oid) FROM pg_proc WHERE oid >= 16384), ''))";

const SAVED: &str = "devctl: saved";

/// Puts the database back; what was done, in one sentence.
pub(super) async fn reset(psql: &Psql, keep: &[String]) -> Result<String, Error> {
    let database = &psql.login.database;
    let template = name(database);
    let asked = psql
        .ask(
            database,
            &[
                FINGERPRINT.to_owned(),
                format!("SELECT coalesce((SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {}), '')", literal(&template)),
            ],
        )
        .await?;
    let (fingerprint, made_from) = asked.split_once('\n').unwrap_or((&asked, ""));
    let wanted = format!("devctl: {fingerprint} {}", keep.join(","));
    let mut first = "";
    if made_from != SAVED && made_from != wanted {
        make(psql, &wanted, Some(keep)).await?;
        first = " (its template was made first)";
    }
    let began = Instant::now();
    copy(psql, &template, database).await?;
    let ms = began.elapsed().as_millis();
    Ok(match made_from {
        SAVED => format!("`{database}` is as it was saved: copied in {ms} ms; its sessions were ended"),
        _ => format!(
            "`{database}` has its schema and the records of its migrations, and no other rows: copied in {ms} ms{first}; its sessions were ended"
        ),
    })
}

/// Keeps the database as it is.
pub(super) async fn save(psql: &Psql) -> Result<String, Error> {
    let began = Instant::now();
    make(psql, SAVED, None).await?;
    let ms = began.elapsed().as_millis();
    Ok(format!(
        "`{}` is kept as it is now, in {ms} ms: `reset` comes back to it; its sessions were ended",
        psql.login.database
    ))
}

/// Makes the template from the database; `empty`: without rows, but for these tables and the records of migrations.
async fn make(psql: &Psql, comment: &str, empty: Option<&[String]>) -> Result<(), Error> {
    let database = &psql.login.database;
    let template = name(database);
    let quoted = identifier(&template);
    remove(psql, &template).await?;
    // Nobody may come in while it is copied: PostgreSQL refuses to copy what is in use.
    let closed = psql
        .ask(
            maintenance(database),
            &[
                format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", identifier(database)),
                end_sessions(database),
                format!("CREATE DATABASE {quoted} TEMPLATE {}", identifier(database)),
            ],
        )
        .await;
    let open = psql
        .ask(
            maintenance(database),
            &[format!(
                "ALTER DATABASE {} ALLOW_CONNECTIONS true",
                identifier(database)
            )],
        )
        .await;
    closed.and(open)?;
    if let Some(keep) = empty {
        let kept: Vec<String> = keep.iter().map(|table| literal(table)).collect();
        let kept = if kept.is_empty() {
            "NULL".to_owned()
        } else {
            kept.join(", ")
        };
        let truncate = format!(
            "DO $do$ DECLARE tables text; BEGIN SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relname !~* '{MIGRATIONS}' AND coalesce(c.relname NOT IN ({kept}) AND n.nspname || '.' || c.relname NOT IN ({kept}), true) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'); IF tables IS NOT NULL THEN EXECUTE 'TRUNCATE ' || tables || ' RESTART IDENTITY CASCADE'; END IF; END $do$"
        );
        psql.ask(&template, &[truncate]).await?;
    }
    psql.ask(
        maintenance(database),
        &[
            // Told last: a template without it is half made, and is made anew.
            format!("COMMENT ON DATABASE {quoted} IS {}", literal(comment)),
            format!("ALTER DATABASE {quoted} ALLOW_CONNECTIONS false"),
        ],
    )
    .await?;
    Ok(())
}

/// The database is what the template is.
async fn copy(psql: &Psql, template: &str, database: &str) -> Result<(), Error> {
    let maintenance = maintenance(database);
    let owner = format!(
        "SELECT quote_ident(rolname) FROM pg_roles JOIN pg_database ON datdba = pg_roles.oid WHERE datname = {}",
        literal(database)
    );
    let owner = psql.ask(maintenance, &[owner]).await?;
    psql.ask(
        maintenance,
        &[
            format!("DROP DATABASE {} WITH (FORCE)", identifier(database)),
            format!(
                "CREATE DATABASE {} TEMPLATE {} OWNER {owner}",
                identifier(database),
                identifier(template)
            ),
        ],
    )
    .await?;
    Ok(())
}

async fn remove(psql: &Psql, template: &str) -> Result<(), Error> {
    let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(template));
    psql.ask(maintenance(&psql.login.database), &[drop]).await?;
    Ok(())
}

fn end_sessions(database: &str) -> String {
    format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid()",
        literal(database)
    )
}

/// Where one stands while the database itself is dropped.
fn maintenance(database: &str) -> &'static str {
    if database == "postgres" {
        "template1"
    } else {
        "postgres"
    }
}

/// A name has 63 bytes (PostgreSQL's `NAMEDATALEN`).
fn name(database: &str) -> String {
    let mut name = format!("devctl_template_{database}");
    while name.len() > 63 {
        name.pop();
    }
    name
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_quoted() {
        assert_eq!(name("shop"), "devctl_template_shop");
        assert!(name(&"x".repeat(80)).len() <= 63);
        assert_eq!(identifier("we\"ird"), "\"we\"\"ird\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(
            (maintenance("postgres"), maintenance("shop")),
            ("template1", "postgres")
        );
    }
}
