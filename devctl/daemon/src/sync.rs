//! Does to a run what `develop.watch` says about a change: copies, deletes, runs, and tells what came of it. A process has the files where
//! they are: only the command of a `sync+exec` is left to run.

use std::path::PathBuf;
use std::time::Instant;

use devctl_core::engine::{Event, Failure};
use devctl_drivers::docker::ExecSpec;

use crate::container::Container;
use crate::hooks;
use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::run_loop::Wake;
use crate::sources::Listing;
use crate::watch::rules::{self, Batch};

/// Does it in the background; the engine is told when it is done.
pub(crate) fn sync(means: &Means, live: &Live, run: u64, batch: Batch, what: String) {
    let (means, live) = (means.clone(), live.clone());
    means.tasks.clone().spawn(async move {
        let began = Instant::now();
        let restart = batch.restart;
        let outcome = perform(&means, &live, run, batch).await;
        let _ended = means.wake.send(Wake::Event(Event::Synced {
            node: live.spec.id.clone(),
            run,
            what,
            outcome,
            took: began.elapsed(),
            restart,
        }));
    });
}

/// Copies what `initial_sync` asks for, once the container runs.
pub(crate) fn first(means: &Means, live: &Live, run: u64) {
    if !live.spec.watch.iter().any(|rule| rule.initial) {
        return;
    }
    let (means, live) = (means.clone(), live.clone());
    means.tasks.clone().spawn(async move {
        let watch = live.spec.watch.clone();
        let look = move || rules::initial(&watch, |tree| Listing::read(tree).files.into_keys().collect());
        if let Ok(batch) = tokio::task::spawn_blocking(look).await
            && !batch.is_empty()
        {
            let what = format!("all that there is, {} files", batch.copy.len());
            sync(&means, &live, run, batch, what);
        }
    });
}

async fn perform(means: &Means, live: &Live, run: u64, batch: Batch) -> Result<(), Failure> {
    if let Handle::Container(container) = &live.handle {
        put(container, batch.copy, batch.delete).await?;
    }
    let log = means.log(&live.spec, run);
    hooks::run("sync+exec", &batch.exec, live.context.as_ref(), &log).await
}

/// Files of this host go in, and those that are gone here go there as well.
async fn put(container: &Container, copy: Vec<(PathBuf, String)>, delete: Vec<String>) -> Result<(), Failure> {
    let failed = |error: devctl_drivers::docker::DockerError| Failure {
        what: crate::start::told(&error),
        help: None,
        output: Vec::new(),
    };
    let engine = &container.engine;
    engine.put(&container.id, copy).await.map_err(failed)?;
    if !delete.is_empty() {
        let words = ["rm", "-rf", "--"].map(str::to_owned);
        let spec = ExecSpec {
            command: words.into_iter().chain(delete).collect(),
            user: Some("root".to_owned()),
            ..ExecSpec::default()
        };
        let outcome = engine.exec(&container.id, &spec, None, |_| {}).await.map_err(failed)?;
        if outcome.code != Some(0) {
            return Err(Failure {
                what: "files that are gone here could not be deleted inside".to_owned(),
                help: None,
                output: outcome.output.lines().map(str::to_owned).collect(),
            });
        }
    }
    Ok(())
}
