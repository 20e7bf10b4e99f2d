//! Which processes a container has.

use bollard::errors::Error as Api;
use bollard::query_parameters::TopOptions;

use super::Engine;
use super::error::brief;

/// A process table, as `ps` of the engine's host prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// Names of the columns.
    pub titles: Vec<String>,
    /// A row per process.
    pub rows: Vec<Vec<String>>,
}

/// The engine could not tell.
#[derive(Debug, thiserror::Error)]
#[error("list the processes of `{container}`: {}", brief(source))]
pub struct TopError {
    /// Of which container.
    pub container: String,
    /// What the engine said.
    #[source]
    pub source: Box<Api>,
}

impl Engine {
    /// The processes of a running container.
    ///
    /// # Errors
    /// Where it does not run, or the engine does not answer.
    pub async fn processes(&self, container: &str) -> Result<Processes, TopError> {
        let found = self
            .docker()
            .top_processes(container, None::<TopOptions>)
            .await
            .map_err(|source| TopError {
                container: container.to_owned(),
                source: Box::new(source),
            })?;
        Ok(Processes {
            titles: found.titles.unwrap_or_default(),
            rows: found.processes.unwrap_or_default(),
        })
    }
}
