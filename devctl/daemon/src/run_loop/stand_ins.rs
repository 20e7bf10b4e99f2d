//! Stand-ins follow their pacts: these are read again when they change, by a task of its own, since a pact may be at a URL that
//! does not answer. Nothing else waits for that.

use std::time::Instant;

use devctl_core::NodeId;
use devctl_core::engine::NoticeKind;

use super::{Loop, Wake};
use crate::command::{Command, Remark};
use crate::convert;
use crate::prepare::{Promised, Reread};

/// The pacts of the project as it was prepared last.
#[derive(Default)]
pub(super) struct Pacts {
    promised: Option<Promised>,
    /// When they changed last.
    changed: Option<Instant>,
    readings: Readings,
}

/// Changes are numbered, so that what was read because of a later one is not undone by a slower reading.
#[derive(Debug, Default)]
struct Readings {
    begun: u64,
    taken: u64,
}

impl Readings {
    fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Whether nothing later has been taken over.
    fn take(&mut self, change: u64) -> bool {
        let is_news = change > self.taken;
        self.taken = self.taken.max(change);
        is_news
    }

    /// There is something later than whatever has begun.
    fn outdate(&mut self) {
        self.taken = self.begun;
    }
}

impl Loop {
    /// Files of pacts, or of provider states, are others now.
    pub(super) fn pacts_changed(&mut self) {
        self.pacts.changed = Some(Instant::now());
        self.read_pacts();
    }

    /// The project was prepared anew, with stand-ins from the pacts as they were at `read`.
    pub(super) fn pacts_prepared(&mut self, promised: Promised, read: Instant) {
        self.pacts.promised = Some(promised);
        self.pacts.readings.outdate();
        // Preparing may take minutes, and its stand-ins are put in place of those that have followed meanwhile.
        if self.pacts.changed.is_some_and(|changed| changed >= read) {
            self.read_pacts();
        }
    }

    fn read_pacts(&mut self) {
        let Some(promised) = self.pacts.promised.clone().filter(|_| self.wiring.has_stand_ins()) else {
            return;
        };
        let change = self.pacts.readings.begin();
        let wake = self.performer.means.wake.clone();
        self.performer.means.tasks.spawn(async move {
            let read = promised.read().await;
            // The loop is gone only when the daemon ends.
            let _ended = wake.send(Wake::Command(Command::StandIns { change, read }));
        });
    }

    /// Stand-ins answer from the pacts as they were read because of that change.
    pub(super) fn stand_ins(&mut self, change: u64, read: Reread) {
        if !self.wiring.has_stand_ins() || !self.pacts.readings.take(change) {
            return;
        }
        for text in &read.problems {
            self.remark(Remark {
                node: None,
                text: text.clone(),
                help: Some("until it is corrected, stand-ins answer from what was there before".to_owned()),
            });
        }
        let changed = self.wiring.follow(read);
        self.turn();
        for (provider, mut consumers) in changed {
            consumers.sort();
            let node = NodeId::from(provider.as_str());
            let kind = NoticeKind::StandInChanged { consumers };
            let notice = self.state.tell(Some(&node), kind, self.clock.now());
            self.feed.notice(convert::notice(&notice, &self.clock));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reading_does_not_undo_a_later_one() {
        let mut readings = Readings::default();
        let (first, second, third) = (readings.begin(), readings.begin(), readings.begin());
        assert!(readings.take(second));
        assert!(!readings.take(first), "it was read because of an earlier change");
        assert!(readings.take(third));
        let before = readings.begin();
        readings.outdate();
        assert!(!readings.take(before), "the project was prepared anew meanwhile");
        let after = readings.begin();
        assert!(readings.take(after));
    }
}
