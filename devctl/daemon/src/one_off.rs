//! A container for `run`: as the service's own, but for what is asked for. Made here, because here it is known what the service
//! is told; started, watched and removed by whoever asked.

use devctl_drivers::docker::pull::{self, Pull};
use devctl_drivers::docker::{ContainerSpec, DockerError, api, labels};
use devctl_wire::v1;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::spec::{ContainerPlan, NodeSpec, What};

/// Docker Compose's label for the digits in a one-off container's name.
const SLUG: &str = "com.docker.compose.slug";

/// Makes it; its id.
pub(crate) async fn make(spec: Option<&NodeSpec>, request: &v1::OneOffRequest) -> Result<String, Status> {
    let service = &request.service;
    let plan = match spec.map(|spec| &spec.what) {
        Some(What::Container(plan)) => plan,
        Some(_) => {
            return Err(Status::failed_precondition(format!(
                "`{service}` does not run in a container"
            )));
        }
        None => {
            return Err(Status::not_found(format!(
                "the running project has no service `{service}`"
            )));
        }
    };
    for network in &plan.networks {
        plan.engine
            .ensure_network(network)
            .await
            .map_err(|error| refused(&error))?;
    }
    for volume in &plan.volumes {
        plan.engine
            .ensure_volume(volume)
            .await
            .map_err(|error| refused(&error))?;
    }
    image(plan).await?;
    let wanted = shape(plan, request)?;
    let (id, _) = plan.engine.create(&wanted).await.map_err(|error| refused(&error))?;
    Ok(id)
}

/// The image is there: pulled as its policy says, or built where it can be.
async fn image(plan: &ContainerPlan) -> Result<(), Status> {
    let told = |what: String, help: Option<String>| match help {
        Some(help) => Status::failed_precondition(format!("{what}\nhelp: {help}")),
        None => Status::failed_precondition(what),
    };
    let there = plan
        .engine
        .image(&plan.image.name)
        .await
        .map_err(|error| told(format!("failed to {error}"), None))?;
    if let (None, Some(build)) = (&there, &plan.image.build) {
        let built = build.run(&plan.engine, &plan.image.env, &mut |_| {}).await;
        return built.map(|_| ()).map_err(|error| {
            let output: String = error.output().iter().map(|line| format!("\n  {line}")).collect();
            told(format!("failed to {error}{}", output.replace('\n', " ")), error.help())
        });
    }
    let pull = Pull {
        image: &plan.image.name,
        platform: plan.image.platform.as_deref(),
        policy: plan.image.policy,
        env: &plan.image.env,
    };
    let pulled = pull::ensure(&plan.engine, &pull, &mut |_| {}).await;
    pulled
        .map(|_| ())
        .map_err(|error| told(format!("failed to {error}"), error.help()))
}

fn shape(plan: &ContainerPlan, request: &v1::OneOffRequest) -> Result<ContainerSpec, Status> {
    let mut spec = plan.spec.clone();
    let digits = digits();
    spec.name = match request.name.as_str() {
        "" => format!("{}-{}-run-{digits}", plan.project, request.service),
        name => name.to_owned(),
    };
    let body = &mut spec.body;
    let own = body.labels.get_or_insert_default();
    own.insert(labels::ONEOFF.to_owned(), "True".to_owned());
    own.insert(SLUG.to_owned(), digits);
    own.extend(request.labels.clone());
    if !request.entrypoint.is_empty() {
        let words = shell_words::split(&request.entrypoint)
            .map_err(|error| Status::invalid_argument(format!("`--entrypoint {}`: {error}", request.entrypoint)))?;
        body.entrypoint = Some(words);
        // As with `docker run`: another entry point has no use for the image's arguments.
        body.cmd = Some(Vec::new());
    }
    if !request.command.is_empty() {
        body.cmd = Some(request.command.clone());
    }
    let env = body.env.get_or_insert_default();
    for pair in &request.environment {
        let before = format!("{}=", pair.key);
        env.retain(|entry| !entry.starts_with(&before));
        env.push(format!("{before}{}", pair.value));
    }
    if !request.user.is_empty() {
        body.user = Some(request.user.clone());
    }
    if !request.directory.is_empty() {
        body.working_dir = Some(request.directory.clone());
    }
    body.tty = Some(request.tty);
    body.open_stdin = Some(request.stdin);
    body.stdin_once = Some(request.stdin);
    body.attach_stdin = Some(request.stdin);
    // It is one command, not the service: nobody asks whether it is well.
    body.healthcheck = None;
    let host = body.host_config.get_or_insert_default();
    host.restart_policy = None;
    host.binds.get_or_insert_default().extend(request.volumes.clone());
    host.cap_add.get_or_insert_default().extend(request.cap_add.clone());
    host.cap_drop.get_or_insert_default().extend(request.cap_drop.clone());
    if !request.service_ports {
        host.port_bindings = None;
    }
    for written in &request.publish {
        let (port, binding) = publish(written)
            .ok_or_else(|| Status::invalid_argument(format!("`--publish {written}` is no port: write `8080:80`")))?;
        body.exposed_ports.get_or_insert_default().push(port.clone());
        host.port_bindings
            .get_or_insert_default()
            .entry(port)
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    if !request.use_aliases {
        for attachment in &mut spec.networks {
            // Its neighbours must not take it for the service.
            attachment.settings.aliases = None;
            // A fixed address is the service's own.
            attachment.settings.ipam_config = None;
        }
    }
    Ok(spec)
}

/// `80`, `8080:80`, `127.0.0.1:8080:80`, each with `/udp` or without.
fn publish(written: &str) -> Option<(String, api::PortBinding)> {
    let (written, protocol) = written.split_once('/').unwrap_or((written, "tcp"));
    let mut parts = written.rsplitn(3, ':');
    let target: u16 = parts.next()?.parse().ok()?;
    let published = parts.next().unwrap_or_default();
    if !published.is_empty() {
        published.parse::<u16>().ok()?;
    }
    // Nothing listens beyond loopback unless it is asked for by address.
    let host = parts.next().unwrap_or("127.0.0.1");
    let binding = api::PortBinding {
        host_ip: Some(host.to_owned()),
        host_port: Some(published.to_owned()),
    };
    Some((format!("{target}/{protocol}"), binding))
}

fn digits() -> String {
    let now = jiff::Timestamp::now().as_nanosecond().to_le_bytes();
    Sha256::digest(now)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn refused(error: &DockerError) -> Status {
    let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    Status::failed_precondition(format!("failed to {error}{help}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_published_on_loopback_unless_an_address_is_named() {
        let read = |written: &str| {
            let (port, binding) = publish(written)?;
            Some((port, binding.host_ip?, binding.host_port?))
        };
        let is = |port: &str, ip: &str, host: &str| Some((port.to_owned(), ip.to_owned(), host.to_owned()));
        assert_eq!(read("8080:80"), is("80/tcp", "127.0.0.1", "8080"));
        assert_eq!(read("0.0.0.0:8080:80/udp"), is("80/udp", "0.0.0.0", "8080"));
        assert_eq!(read("80"), is("80/tcp", "127.0.0.1", ""));
        assert_eq!(read("a:80"), None);
    }
}
