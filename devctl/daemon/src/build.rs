//! Builds a node from source, and looks at what came of it.

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use devctl_core::engine::{Built, Failure};
use devctl_core::plan::ContentHash;
use devctl_drivers::docker::build::Build;
use devctl_drivers::exec::{self, Keep};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::process::{ProcessSpec, Stdin};
use sha2::{Digest, Sha256};

use crate::spec::{ContainerPlan, NodeSpec, What};

/// Lines of a failed build's output that are shown.
const SHOWN: usize = 40;
/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 18;
/// Into so many parts a product is cut.
const PARTS: u64 = 4;

/// Runs the build and digests its product. Dropping the future ends the build.
pub(crate) async fn build(spec: &NodeSpec, log: &RunLog) -> Result<Built, Failure> {
    if let What::Container(plan) = &spec.what
        && let Some(build) = &plan.image.build
    {
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
    let Some(path) = build.artefact.clone() else {
        return Ok(Built {
            artefact: None,
            ran: Some(outcome.took),
        });
    };
    let digested = tokio::task::spawn_blocking(move || fingerprint(&path)).await;
    Ok(Built {
        artefact: digested.ok().flatten(),
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
    match build.run(&plan.engine, &plan.image.env, &mut on_line).await {
        Ok(image) => Ok(Built {
            artefact: Some(ContentHash(image.id)),
            ran: None,
        }),
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
            0 => return Some(shown(hasher)),
            count => hasher.update(&piece[..count]),
        }
    }
}

/// The same for a product, which every reload waits for: its parts are digested beside each other.
fn fingerprint(path: &Path) -> Option<ContentHash> {
    let file = std::fs::File::open(path).ok()?;
    let part = file.metadata().ok()?.len().div_ceil(PARTS).max(1);
    let digest_part = |number: u64| {
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut left = part;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            match file.read_at(&mut piece[..wanted], (number + 1) * part - left).ok()? {
                0 => break,
                count => {
                    hasher.update(&piece[..count]);
                    left -= count as u64;
                }
            }
        }
        Some(hasher.finalize())
    };
    std::thread::scope(|scope| {
        let digest_part = &digest_part;
        let threads: Vec<_> = (1..PARTS)
            .map(|number| scope.spawn(move || digest_part(number)))
            .collect();
        let mut whole = Sha256::new();
        whole.update(digest_part(0)?);
        for thread in threads {
            whole.update(thread.join().ok()??);
        }
        Some(shown(whole))
    })
}

fn shown(hasher: Sha256) -> ContentHash {
    let digest = hasher.finalize();
    ContentHash(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_known_by_every_byte_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("product");
        let of = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            (fingerprint(&path).unwrap(), digest(&path).unwrap())
        };
        let mut content = vec![7; 3 * PIECE + 5];
        let first = of(&content);
        assert_eq!(of(&content), first);
        for at in [0, PIECE - 1, PIECE, 2 * PIECE + 9, 3 * PIECE + 4] {
            content[at] ^= 1;
            let changed = of(&content);
            assert!(changed.0 != first.0 && changed.1 != first.1, "{at}");
            content[at] ^= 1;
        }
        content.pop();
        assert_ne!(of(&content).0, first.0);
        assert_ne!(of(b"").0, first.0);
        assert_eq!(fingerprint(Path::new("/nowhere")), None);
    }
}
