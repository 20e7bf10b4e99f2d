//! Containers held still and let go on, and their end waited for.

use std::time::Duration;

use bollard::errors::Error as Api;
use bollard::query_parameters::WaitContainerOptions;
use futures::StreamExt as _;

use super::client::Engine;
use super::error::{DockerError, Problem};

/// A container may run for as long as nobody ends it.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Engine {
    /// Holds every process of a container still.
    ///
    /// # Errors
    /// What the engine said, of one that does not run as well.
    pub async fn pause(&self, id: &str) -> Result<(), DockerError> {
        let paused = self.docker().pause_container(id).await;
        paused.map_err(|error| DockerError::new("pause its container", &error))
    }

    /// Lets a container that is held still go on.
    ///
    /// # Errors
    /// What the engine said, of one that is not held as well.
    pub async fn unpause(&self, id: &str) -> Result<(), DockerError> {
        let unpaused = self.docker().unpause_container(id).await;
        unpaused.map_err(|error| DockerError::new("let its container go on", &error))
    }

    /// Waits until a container does not run; its exit status. One that has ended already is told at once.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn ended(&self, id: &str) -> Result<i64, DockerError> {
        let doing = || "wait for its container".to_owned();
        let docker = self.patient(AS_LONG_AS_IT_TAKES);
        let mut answers = std::pin::pin!(docker.wait_container(id, None::<WaitContainerOptions>));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // The client takes every status but 0 for a failure of the call.
            Some(Err(Api::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(DockerError::new(doing(), &error)),
            None => Err(DockerError {
                doing: doing(),
                said: "the engine said nothing of it".to_owned(),
                problem: Problem::EngineGone,
            }),
        }
    }
}
