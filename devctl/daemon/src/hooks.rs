//! `post_start` and `pre_stop` (Compose specification, services: lifecycle hooks).

use devctl_core::engine::Failure;
use devctl_drivers::exec::{self, Keep};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::process::ProcessSpec;

use crate::spec::{HOOK_LIMIT, HookSpec};

/// Runs the hooks one after the other in the process's own environment and directory; the first that fails ends it.
pub(crate) async fn run(
    kind: &str,
    hooks: &[HookSpec],
    context: Option<&ProcessSpec>,
    log: &RunLog,
) -> Result<(), Failure> {
    for hook in hooks {
        let Some((program, args)) = hook.command.split_first() else {
            continue;
        };
        let Some(context) = context else {
            return Err(Failure::new(format!(
                "its `{kind}` hook needs a process, and this node has none"
            )));
        };
        let mut spec = ProcessSpec {
            program: program.clone(),
            args: args.to_vec(),
            ..context.clone()
        };
        spec.env.extend(hook.env.clone());
        if let Some(dir) = &hook.dir {
            spec.dir.clone_from(dir);
        }
        log.line(
            Stream::Devctl,
            format!("{kind}: {}", shell_words::join(&hook.command)).as_bytes(),
        );
        let what = |how: String| format!("its `{kind}` hook `{}` {how}", shell_words::join(&hook.command));
        let outcome = exec::stream(&spec, Some(HOOK_LIMIT), Keep::default(), Some(log), |_, _| {})
            .await
            .map_err(|error| Failure {
                what: what(format!("failed to {error}")),
                help: error.help(),
                output: Vec::new(),
            })?;
        if !outcome.success() {
            let how = outcome.exit.map_or_else(
                || "took too long".to_owned(),
                |exit| crate::live::exit(exit).to_string(),
            );
            let output = outcome.output.lines().map(str::to_owned).collect();
            return Err(Failure {
                what: what(how),
                help: None,
                output,
            });
        }
    }
    Ok(())
}
