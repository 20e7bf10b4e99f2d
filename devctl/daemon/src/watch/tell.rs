//! What the watcher has found, told to the loop.

use std::path::PathBuf;
use std::sync::Arc;

use devctl_core::NodeId;
use devctl_core::engine::Event;
use devctl_drivers::docker::build::Build;
use devctl_wire::v1;
use tokio::sync::{Mutex, mpsc};

use super::rules::Batch;
use crate::command::{Command, Remark, UpCommand, Wait};
use crate::prepare::Preparer;
use crate::run_loop::Wake;

/// What was found out.
#[derive(Debug)]
pub(super) enum Found {
    /// A file that the project was read from is another one now.
    Files(Box<v1::UpRequest>),
    /// A node's sources are others now.
    Sources { node: NodeId, source: String, what: String },
    /// An image's sources are others now.
    Image {
        node: NodeId,
        build: Box<Build>,
        what: String,
    },
    /// A container's files are others now.
    Batch { node: NodeId, batch: Batch, what: String },
    /// Files of pacts, or of provider states, are others now.
    Contracts { paths: Vec<PathBuf> },
    /// To be said.
    Said(Remark),
}

/// Tells the loop of everything that is found. To prepare takes long, and an `up` that pulls images is waited for with it: a save is not
/// kept waiting by that.
pub(super) async fn tell_all(
    mut finds: mpsc::UnboundedReceiver<Found>,
    wake: mpsc::UnboundedSender<Wake>,
    preparer: Arc<Mutex<Preparer>>,
) {
    let (files, mut changes) = mpsc::unbounded_channel();
    let replanning = wake.clone();
    tokio::spawn(async move {
        while let Some(mut request) = changes.recv().await {
            let mut preparer = preparer.lock().await;
            // All that was changed until now is read at once.
            while let Ok(later) = changes.try_recv() {
                request = later;
            }
            let _ended = replanning.send(Wake::Command(replan(request, &mut preparer).await));
        }
    });
    while let Some(found) = finds.recv().await {
        tell(found, &wake, &files).await;
    }
}

async fn tell(found: Found, wake: &mpsc::UnboundedSender<Wake>, files: &mpsc::UnboundedSender<v1::UpRequest>) {
    let wake_up = match found {
        Found::Files(request) => {
            let _ended = files.send(*request);
            return;
        }
        Found::Sources { node, source, what } => Wake::Event(Event::Changed { node, source, what }),
        Found::Image { node, build, what } => {
            let stamp = tokio::task::spawn_blocking(move || build.stamp()).await;
            match stamp {
                Ok(Ok(Some(source))) => Wake::Event(Event::Changed { node, source, what }),
                // What stands in the way is told by the build itself.
                Ok(Err(_)) => Wake::Event(Event::Changed {
                    node,
                    source: String::new(),
                    what,
                }),
                Ok(Ok(None)) | Err(_) => return,
            }
        }
        Found::Batch { node, batch, what } => Wake::Command(Command::Sync {
            node,
            batch,
            what: format!("{what} changed"),
        }),
        Found::Contracts { paths } => Wake::Command(Command::Contracts { paths }),
        Found::Said(remark) => Wake::Command(Command::Remark(remark)),
    };
    let _ended = wake.send(wake_up);
}

/// The Compose file itself: a changed one is a new plan, a broken one is told and the old plan stays.
async fn replan(request: v1::UpRequest, preparer: &mut Preparer) -> Command {
    let (reply, _nobody_waits) = mpsc::unbounded_channel();
    let request = v1::UpRequest {
        attach: false,
        dry_run: false,
        force_recreate: false,
        build: false,
        pull: String::new(),
        renew_anon_volumes: false,
        timeout_s: None,
        ..request
    };
    match preparer.up(request, Wait::Started, reply).await {
        Ok(command) => Command::Replan(Box::new(UpCommand { again: true, ..command })),
        Err(outcome) => {
            let lines: Vec<String> = outcome
                .diagnostics
                .iter()
                .map(|diagnostic| diagnostic.text.clone())
                .collect();
            Command::Remark(Remark {
                node: None,
                text: format!(
                    "the changed files cannot be used, the graph stays as it is: {}",
                    lines.join("\n")
                ),
                help: None,
            })
        }
    }
}
