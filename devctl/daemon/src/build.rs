//! Builds a node from source, and looks at what came of it.

use std::io::Read as _;
use std::path::Path;

use devctl_core::NodeId;
use devctl_core::engine::{Built, Failure};
use devctl_core::plan::ContentHash;
use devctl_drivers::docker::build::Build;
use devctl_drivers::exec::{self, Keep};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::process::{ProcessSpec, Stdin};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::product::Products;
use crate::spec::{ContainerPlan, NodeSpec, What};

/// Lines of a failed build's output that are shown.
const SHOWN: usize = 40;
/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 18;

/// Runs the build, and tells its product from the one before. Without `products` nobody wants to know. The images of the nodes in
/// `first` are built before it. Dropping the future ends the build.
pub(crate) async fn build(
    spec: &NodeSpec,
    log: &RunLog,
    first: &[NodeId],
    products: Option<&Products>,
) -> Result<Built, Failure> {
    if let What::Container(plan) = &spec.what
        && let Some(build) = &plan.image.build
    {
        let is_first = |service: &str| first.iter().any(|node| node.service() == service);
        let sources = plan.image.sources.iter().filter(|(service, _)| is_first(service));
        for source in sources.flat_map(|(_, builds)| builds) {
            Box::pin(image(plan, source, log)).await?;
        }
        return image(plan, build, log).await;
    }
    let Some(build) = &spec.build else {
        return Ok(Built::default());
    };
    let Some((program, args)) = build.command.split_first() else {
        return Err(Failure::new("`x-devctl.native.build` is empty"));
    };
    let process = ProcessSpec {
        program: program.clone(),
        args: args.to_vec(),
        env: (*build.env).clone(),
        dir: build.dir.clone(),
        user: None,
        stdin: Stdin::Null,
        nofile: None,
    };
    let words = shell_words::join(&build.command);
    log.line(Stream::Devctl, format!("build: {words}").as_bytes());
    let outcome = exec::stream(
        &process,
        None,
        Keep {
            head: 0,
            tail: 64 * 1024,
        },
        Some(log),
        |_, _| {},
    )
    .await
    .map_err(|error| Failure {
        what: format!("failed to {error}"),
        help: error.help(),
        output: Vec::new(),
    })?;
    if !outcome.success() {
        let how = outcome
            .exit
            .map_or_else(|| "was ended".to_owned(), |exit| crate::live::exit(exit).to_string());
        let lines: Vec<String> = outcome.output.lines().map(str::to_owned).collect();
        let output = lines[lines.len().saturating_sub(SHOWN)..].to_vec();
        let help = Some(format!(
            "it ran in `{}`; the next `up` (or change) tries again",
            build.dir.display()
        ));
        return Err(Failure {
            what: format!("`{words}` {how}"),
            help,
            output,
        });
    }
    let artefact = match build.artefact.clone().zip(products.cloned()) {
        Some((path, products)) => {
            let (tell, told) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                products.look(&path, |identity| {
                    // Nobody waits for a build that was overtaken.
                    let _overtaken = tell.send(identity);
                });
            });
            told.await.ok()
        }
        None => None,
    };
    Ok(Built {
        artefact,
        ran: Some(outcome.took),
    })
}

/// Builds a container's image.
async fn image(plan: &ContainerPlan, build: &Build, log: &RunLog) -> Result<Built, Failure> {
    log.line(Stream::Devctl, format!("build: image `{}`", build.image).as_bytes());
    let mut last: Vec<String> = Vec::new();
    let mut on_line = |line: &str| {
        log.line(Stream::Stdout, line.as_bytes());
        last.push(line.to_owned());
        if last.len() > 2 * SHOWN {
            last.drain(..SHOWN);
        }
    };
    let before = plan.engine.image(&build.image).await.ok().flatten();
    match build.run(&plan.engine, &plan.image.env, &mut on_line).await {
        Ok(image) => {
            // One that a container is made of goes with that.
            if let Some(before) = before.filter(|before| before.id != image.id) {
                plan.engine.remove_replaced(&before.id).await;
            }
            Ok(Built {
                artefact: Some(ContentHash(image.id)),
                ran: None,
            })
        }
        Err(error) => Err(Failure {
            what: crate::start::told(&error),
            help: error.help(),
            output: last[last.len().saturating_sub(SHOWN)..].to_vec(),
        }),
    }
}

/// A digest of a file's content. None where it cannot be read: then it counts as new.
pub(crate) fn digest(path: &Path) -> Option<ContentHash> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).ok()? {
            0 => break,
            count => hasher.update(&piece[..count]),
        }
    }
    let digest = hasher.finalize();
    let digest = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    Some(ContentHash(digest.collect()))
}
