//! An engine that goes away, and comes back. Its containers may have ended with it: each of them is looked at before anything is started
//! there, so that nobody is started beside a dependency of which nobody knows yet that it is gone.

use std::sync::Arc;

use devctl_core::engine::Event;
use futures::future::join_all;

use super::{Loop, Wake};
use crate::command::Remark;
use crate::container::Container;
use crate::live::Handle;

impl Loop {
    /// One line for all of an engine's containers; each of them says so as its hold.
    pub(super) fn engine(&mut self, host: String, lost: Option<String>) {
        self.looks += 1;
        match lost {
            Some(why) => {
                let text =
                    format!("Docker at `{host}` does not answer any more ({why}): its containers are waited for");
                let help = "start it again; what runs there is looked at as soon as it answers";
                self.remark(Remark {
                    node: None,
                    text,
                    help: Some(help.to_owned()),
                });
                self.step(Event::Away { host, why });
            }
            None => self.look_at_all(host),
        }
    }

    /// Asks what has become of each container; [`Wake::EngineLooked`] follows, after the ends of those that have ended.
    fn look_at_all(&self, host: String) {
        let containers = self.performer.all_live().filter_map(|(run, live)| match &live.handle {
            Handle::Container(container) if container.engine.endpoint().host == host => {
                Some((run, live.spec.id.clone(), container.clone()))
            }
            _ => None,
        });
        let containers: Vec<(u64, _, Arc<Container>)> = containers.collect();
        let (wake, look) = (self.performer.means.wake.clone(), self.looks);
        self.performer.means.tasks.spawn(async move {
            let look_at = |(run, node, container): (u64, _, Arc<Container>)| async move {
                let exit = container.has_ended().await?;
                Some(Event::Exited { node, run, exit })
            };
            // The loop is gone only when the daemon ends.
            for end in join_all(containers.into_iter().map(look_at))
                .await
                .into_iter()
                .flatten()
            {
                let _gone = wake.send(Wake::Event(end));
            }
            let _gone = wake.send(Wake::EngineLooked { host, look });
        });
    }

    /// A container's end is told by itself or by [`Loop::look_at_all`], whoever sees it first; the first is counted.
    pub(super) fn ended_with_engine(&mut self, run: u64) {
        if let Some(Handle::Container(container)) = self.performer.live(run).map(|live| &live.handle) {
            *self
                .ended_with
                .entry(container.engine.endpoint().host.clone())
                .or_default() += 1;
        }
    }

    /// All of them were looked at. Nothing is said of an engine that has gone away again meanwhile.
    pub(super) fn engine_looked(&mut self, host: String, look: u64) {
        if look != self.looks {
            return;
        }
        let text = match self.ended_with.remove(&host).unwrap_or_default() {
            0 => format!("Docker at `{host}` is back"),
            1 => format!("Docker at `{host}` is back: one container had ended with it and is started again"),
            some => format!(
                "Docker at `{host}` is back: {some} containers had ended with it and are started again, each after what it needs"
            ),
        };
        self.remark(Remark {
            node: None,
            text,
            help: None,
        });
        self.step(Event::Back { host });
    }
}
