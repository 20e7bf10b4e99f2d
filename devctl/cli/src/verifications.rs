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
    let services: Vec<&str> = {
        let model = &project.model;
        let all = model.services.keys().chain(model.disabled_services.keys());
        all.map(String::as_str).chain(["broker"]).collect()
    };
    let is_ours = |name: &str| is_of_verification(name, &project.name, &services);
    let here = project.model.working_dir.display().to_string();
    for container in engine
        .containers(&[labels::PROJECT.to_owned()])
        .await
        .unwrap_or_default()
    {
        let of_verification = container.label(labels::PROJECT).is_some_and(is_ours);
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
        if is_ours(&network.name)
            && let Err(error) = engine.remove_network(&network.name).await
        {
            problems.push(error.to_string());
        }
    }
    for volume in engine.volumes(labels::PROJECT).await.unwrap_or_default() {
        if is_ours(&volume)
            && let Err(error) = engine.remove_volume(&volume).await
        {
            problems.push(error.to_string());
        }
    }
    problems
}

/// Whether a name (of a project, or of a network or volume of one) is one that a verification of `project` gives: a provider's, in a
/// place of its own where several go on. Another project may be called nearly so.
fn is_of_verification(name: &str, project: &str, services: &[&str]) -> bool {
    let Some(rest) = name
        .strip_prefix(project)
        .and_then(|rest| rest.strip_prefix("-verify-"))
    else {
        return false;
    };
    let is_place = |place: &str| {
        let number = place.strip_prefix("verify-").or_else(|| place.strip_prefix("beside-"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let part = match rest.split_once("-verify-") {
        Some((place, part)) if is_place(place) => part,
        _ => rest,
    };
    let mut services = services.iter().filter_map(|service| part.strip_prefix(service));
    services.any(|rest| rest.is_empty() || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::is_of_verification;

    #[test]
    fn a_project_that_is_called_nearly_so_is_left_alone() {
        let is = |name: &str| is_of_verification(name, "shop", &["api", "broker"]);
        assert!(is("shop-verify-api") && is("shop-verify-api_data") && is("shop-verify-broker_default"));
        assert!(is("shop-verify-verify-2-verify-api") && is("shop-verify-beside-1-verify-api_default"));
        for other in [
            "shop_data",
            "shop-verify-tests_data",
            "shop-verify-apis_data",
            "shop-verify-old-verify-api",
            "bank-verify-api",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
