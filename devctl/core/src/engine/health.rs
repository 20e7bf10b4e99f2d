//! Health tests: when the next one is due, and what their results mean.

use std::time::Duration;

use super::effect::Effect;
use super::node::HealthState;
use super::notice::NoticeKind;
use super::state::{RunPlace, State};
use crate::{NodeId, Time};

const SOONEST: Duration = Duration::from_millis(4);
const LATEST: Duration = Duration::from_secs(1);
/// A node that has been healthy for long is tested more seldom than its file says, up to this.
const CALM: Duration = Duration::from_secs(10);

/// The wait before the next test of a run that has not been ready for `elapsed`: 1 % of that time, so that readiness is
/// seen at most so much later than it came, within 4 ms and 1 s (or the test's interval, where that is shorter).
#[must_use]
pub fn pace(elapsed: Duration, interval: Duration) -> Duration {
    (elapsed.mul_f64(0.01))
        .clamp(SOONEST, LATEST)
        .min(interval.max(SOONEST))
}

/// The same for a test that itself took so long: one that is dear (a command inside of a container) is given no more than half of the
/// time, so that it does not take the processor from what it waits for.
fn paced(elapsed: Duration, interval: Duration, took: Duration) -> Duration {
    pace(elapsed, interval).max(took.min(LATEST))
}

impl State {
    /// Sends the tests that are due. Two tests of one run never overlap: the next one is timed by the last one's end.
    pub(super) fn probe_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        for (id, node) in &mut self.nodes {
            let Some(test) = node.plan.health else { continue };
            for run in node.run.iter_mut().chain(&mut node.next) {
                if run.health.next.take_if(|at| *at <= now).is_some() {
                    run.health.sent = Some(now);
                    out.push(Effect::Probe {
                        node: id.clone(),
                        run: run.number,
                        timeout: test.timeout,
                    });
                }
            }
        }
    }

    pub(super) fn on_probed(
        &mut self,
        id: &NodeId,
        number: u64,
        ok: bool,
        output: String,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let away = self.nodes.get(id).is_some_and(|node| self.away(node).is_some());
        let Some((node, place)) = self.run_of(id, number) else {
            return;
        };
        let Some(test) = node.plan.health else { return };
        let Some(run) = node.find_mut(number) else { return };
        if run.is_stopping() {
            return;
        }
        if run.paused.is_some() {
            // It does nothing, and so it answers nothing; another one follows when it goes on.
            run.health.sent = None;
            return;
        }
        if away {
            // It says nothing of the run; another one follows once it can be reached.
            run.health.sent = None;
            return;
        }
        let started = run.started.unwrap_or(run.issued);
        let health = &mut run.health;
        let before = health.state;
        if ok {
            health.state = HealthState::Healthy;
            health.failing_since = None;
            let steady = now - run.ready.unwrap_or(now);
            health.next = Some(now + (steady / 5).min(CALM).max(test.interval).max(SOONEST));
            if before == HealthState::Healthy {
                return;
            }
            if run.ready.is_none() {
                run.ready = Some(now);
            }
            let again = before == HealthState::Unhealthy;
            if again && let Some(node) = self.nodes.get_mut(id) {
                // Those who had been told that it would not come may wait for it again.
                node.blocked = false;
            }
            self.notice(
                Some(id),
                NoticeKind::Ready {
                    took: now - started,
                    again,
                },
                now,
                out,
            );
            match place {
                RunPlace::Next => self.promote(id, now, out),
                RunPlace::Run => self.tell_replaced(id, now, out),
                RunPlace::Leaving => {}
            }
            return;
        }
        health.output = output;
        health.last_failure = Some(now);
        let failing_since = *health.failing_since.get_or_insert(now);
        let (budget, since) = match before {
            HealthState::Starting => (test.budget(), started),
            HealthState::Healthy | HealthState::Unhealthy => (test.budget() - test.start_period, failing_since),
        };
        let excused = match before {
            HealthState::Starting => health.excused,
            HealthState::Healthy | HealthState::Unhealthy => Duration::ZERO,
        };
        let elapsed = (now - since).saturating_sub(excused);
        let took = health.sent.map(|sent| now - sent).unwrap_or_default();
        health.next = Some(now + paced(elapsed, test.interval, took));
        if elapsed < budget || before == HealthState::Unhealthy {
            return;
        }
        health.state = HealthState::Unhealthy;
        let output = health.output.clone();
        match place {
            RunPlace::Next => {
                let mut what = format!("it was not healthy after {}", crate::Seconds(elapsed));
                if let Some(line) = output.lines().last() {
                    what.push_str(&format!(": {line}"));
                }
                let grace = node.stop_grace();
                if let Some(next) = node.next.take() {
                    node.leaving.push(next);
                }
                self.replace_failed(id, what, now, out);
                self.stop_run(id, number, grace, "it did not become healthy", now, out);
            }
            _ => self.notice(Some(id), NoticeKind::Unhealthy { after: elapsed, output }, now, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_time_that_has_passed() {
        let interval = Duration::from_secs(30);
        assert_eq!(pace(Duration::ZERO, interval), SOONEST);
        assert_eq!(pace(Duration::from_secs(4), interval), Duration::from_millis(40));
        assert_eq!(pace(Duration::from_secs(300), interval), LATEST);
        assert_eq!(
            pace(Duration::from_secs(300), Duration::from_millis(200)),
            Duration::from_millis(200)
        );
    }
}
