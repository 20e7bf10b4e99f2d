//! What a verification that was killed has left in the engine: containers, networks and volumes, whose names begin with the project's
//! and `-verify-`. Processes end with their guardian; containers outlive everybody.

use devctl_daemon::verify;
use devctl_drivers::docker::{Engine, labels};
use indexmap::IndexMap;

use crate::args::Runtime;
use crate::context::Context;
use crate::project::Project;

/// Removes it, unless some verification of the project goes on: then it may be that one's. Says what could not be removed.
pub(crate) async fn remove_left_behind(context: &Context, project: &Project) -> Vec<String> {
    if context.global.runtime() == Runtime::Native || verify::is_going_on(&project.dirs) {
        return Vec::new();
    }
    let env: IndexMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let Ok(engine) = Engine::connect(&env).await else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let prefix = format!("{}-verify-", project.name);
    let here = project.model.working_dir.display().to_string();
    for container in engine
        .containers(&[labels::PROJECT.to_owned()])
        .await
        .unwrap_or_default()
    {
        let of_verification = container
            .label(labels::PROJECT)
            .is_some_and(|name| name.starts_with(&prefix));
        // Another checkout's of the same name are not this one's.
        let of_here = container.label(labels::WORKING_DIR).is_some_and(|dir| dir == here);
        if of_verification
            && of_here
            && let Err(error) = engine.remove(&container.id, true).await
        {
            problems.push(error.to_string());
        }
    }
    // Those of another checkout's verification are in use, and stay.
    for network in engine.networks(labels::PROJECT).await.unwrap_or_default() {
        if network.name.starts_with(&prefix)
            && let Err(error) = engine.remove_network(&network.name).await
        {
            problems.push(error.to_string());
        }
    }
    for volume in engine.volumes(labels::PROJECT).await.unwrap_or_default() {
        if volume.starts_with(&prefix)
            && let Err(error) = engine.remove_volume(&volume).await
        {
            problems.push(error.to_string());
        }
    }
    problems
}
