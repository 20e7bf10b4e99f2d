//! `post_start` and `pre_stop` (Compose specification, services: lifecycle hooks).

use devctl_core::engine::Failure;
use devctl_drivers::docker::{Engine, ExecSpec};
use devctl_drivers::exec::{self, Keep};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::process::ProcessSpec;

use crate::spec::{HOOK_LIMIT, HookSpec};

/// Where a run's hooks run.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Beside a process of this host, as that process is run.
    Host(ProcessSpec),
    /// In its container.
    Container(Engine, String),
}

/// Runs the hooks one after the other; the first that fails ends it.
pub(crate) async fn run(kind: &str, hooks: &[HookSpec], place: Option<&Place>, log: &RunLog) -> Result<(), Failure> {
    for hook in hooks {
        let words = shell_words::join(&hook.command);
        let Some(place) = place else {
            return Err(Failure::new(format!(
                "its `{kind}` hook needs a process, and this node has none"
            )));
        };
        log.line(Stream::Devctl, format!("{kind}: {words}").as_bytes());
        let what = |how: String| format!("its `{kind}` hook `{words}` {how}");
        let (how, output) = match place {
            Place::Host(context) => on_host(hook, context, log, &what).await?,
            Place::Container(engine, container) => inside(hook, engine, container, log, &what).await?,
        };
        if let Some(how) = how {
            let output = output.lines().map(str::to_owned).collect();
            return Err(Failure {
                what: what(how),
                help: None,
                output,
            });
        }
    }
    Ok(())
}

/// How it failed, if it did, and what it said.
type Ended = (Option<String>, String);

async fn on_host(
    hook: &HookSpec,
    context: &ProcessSpec,
    log: &RunLog,
    what: &impl Fn(String) -> String,
) -> Result<Ended, Failure> {
    let Some((program, args)) = hook.command.split_first() else {
        return Ok((None, String::new()));
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
    let outcome = exec::stream(&spec, Some(HOOK_LIMIT), Keep::default(), Some(log), |_, _| {})
        .await
        .map_err(|error| Failure {
            what: what(format!("failed to {error}")),
            help: error.help(),
            output: Vec::new(),
        })?;
    let how = outcome.exit.map_or_else(
        || "took too long".to_owned(),
        |exit| crate::live::exit(exit).to_string(),
    );
    Ok(((!outcome.success()).then_some(how), outcome.output))
}

async fn inside(
    hook: &HookSpec,
    engine: &Engine,
    container: &str,
    log: &RunLog,
    what: &(impl Fn(String) -> String + Sync),
) -> Result<Ended, Failure> {
    let spec = ExecSpec {
        command: hook.command.clone(),
        env: hook.env.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        user: hook.user.clone(),
        working_dir: hook.inside.clone(),
        privileged: hook.privileged,
    };
    let mut sink = log.sink(Stream::Stdout);
    let outcome = engine
        .exec(container, &spec, Some(HOOK_LIMIT), |bytes| sink.push(bytes))
        .await;
    sink.finish();
    let outcome = outcome.map_err(|error| Failure {
        what: what(format!("failed to {error}")),
        help: error.help(),
        output: Vec::new(),
    })?;
    let how = match outcome.code {
        Some(0) => None,
        Some(code) => Some(format!("exited with {code}")),
        None => Some("took too long".to_owned()),
    };
    Ok((how, outcome.output))
}
