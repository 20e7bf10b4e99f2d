//! What happens, told to everyone who listens.
//!
//! Notices are numbered and the last ones are kept, so that a subscriber resumes from the number after its last one. A
//! subscriber that is too slow misses nothing of what is kept: it is told to read on from the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use devctl_wire::v1;
use tokio::sync::broadcast;

/// Notices kept for those who come later.
const KEPT: usize = 20_000;
/// Updates that a subscriber may lag behind before it reads on from the store.
const BACKLOG: usize = 4096;

/// The sender's side; cheap to clone.
#[derive(Clone)]
pub(crate) struct Feed {
    store: Arc<Mutex<VecDeque<v1::Notice>>>,
    live: broadcast::Sender<Item>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A numbered line.
    Notice(Box<v1::Notice>),
    /// A node's state changed.
    Node(Box<v1::NodeStatus>),
}

/// One listener.
pub(crate) struct Subscription {
    feed: Feed,
    live: broadcast::Receiver<Item>,
    /// The last notice that this one has seen.
    seen: u64,
    /// Kept notices to hand out before the live ones.
    before: VecDeque<v1::Notice>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            live: broadcast::Sender::new(BACKLOG),
        }
    }

    pub(crate) fn notice(&self, notice: v1::Notice) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.len() == KEPT {
            store.pop_front();
        }
        store.push_back(notice.clone());
        // Sent under the lock: whoever subscribes sees each notice in the store or live, never neither.
        let _nobody_listens = self.live.send(Item::Notice(Box::new(notice)));
    }

    pub(crate) fn node(&self, node: v1::NodeStatus) {
        let _nobody_listens = self.live.send(Item::Node(Box::new(node)));
    }

    /// Listens from now on, or from notice `from` on where that is kept.
    pub(crate) fn subscribe(&self, from: Option<u64>) -> Subscription {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let last = store.back().map_or(0, |notice| notice.number);
        let before = match from {
            Some(from) => store.iter().filter(|notice| notice.number >= from).cloned().collect(),
            None => VecDeque::new(),
        };
        Subscription {
            feed: self.clone(),
            live: self.live.subscribe(),
            seen: last,
            before,
        }
    }

    fn after(&self, number: u64) -> VecDeque<v1::Notice> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.iter().filter(|notice| notice.number > number).cloned().collect()
    }
}

impl Subscription {
    /// What is there already, without waiting.
    pub(crate) fn kept(&mut self) -> Option<v1::Notice> {
        self.before.pop_front()
    }

    /// The next thing that happens. None: the daemon has ended.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(notice) = self.before.pop_front() {
                self.seen = self.seen.max(notice.number);
                return Some(Item::Notice(Box::new(notice)));
            }
            match self.live.recv().await {
                Ok(Item::Notice(notice)) if notice.number <= self.seen => {}
                Ok(Item::Notice(notice)) => {
                    self.seen = notice.number;
                    return Some(Item::Notice(notice));
                }
                Ok(item) => return Some(item),
                Err(broadcast::error::RecvError::Lagged(_)) => self.before = self.feed.after(self.seen),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(number: u64) -> v1::Notice {
        v1::Notice {
            number,
            ..v1::Notice::default()
        }
    }

    async fn numbers(subscription: &mut Subscription, count: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        while seen.len() < count {
            match subscription.next().await {
                Some(Item::Notice(notice)) => seen.push(notice.number),
                Some(Item::Node(_)) => {}
                None => break,
            }
        }
        seen
    }

    #[tokio::test]
    async fn resumes_from_a_number() {
        let feed = Feed::new();
        (1..=5).for_each(|number| feed.notice(notice(number)));
        let mut subscription = feed.subscribe(Some(4));
        feed.notice(notice(6));
        assert_eq!(numbers(&mut subscription, 3).await, [4, 5, 6]);
    }

    #[tokio::test]
    async fn a_slow_subscriber_misses_no_notice() {
        let feed = Feed::new();
        let mut subscription = feed.subscribe(None);
        let count = BACKLOG as u64 + 500;
        (1..=count).for_each(|number| feed.notice(notice(number)));
        assert_eq!(
            numbers(&mut subscription, count as usize).await,
            (1..=count).collect::<Vec<_>>()
        );
    }
}
