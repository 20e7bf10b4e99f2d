//! The project's edges: opened where a consumer names a provider or a port is published, and led to whichever run serves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devctl_core::engine::{Serving, State};
use devctl_core::{NodeId, Time};
use devctl_edge::{Draining, Edge, EdgeId, Edges, HoldReport, Target};

use crate::perform::Performer;
use crate::prepare::{Opening, Reread};
use crate::spec::What;
use crate::stubs::StandIn;

/// Every edge that a project's files ask for, and where it leads.
pub(crate) struct Wiring {
    edges: Arc<Edges>,
    wires: BTreeMap<EdgeId, Wire>,
    /// Where edges were before, for runs that were told so.
    former: Vec<Former>,
    /// Stand-ins, by consumer and provider.
    stubs: HashMap<(String, String), StandIn>,
    /// Services that are answered from contracts though they could run.
    stubbed: BTreeSet<String>,
    /// Under way at old runs, until somebody stops these.
    draining: HashMap<String, Vec<Draining>>,
}

/// One edge as it is listed.
pub(crate) struct Wire {
    edge: Option<Edge>,
    /// Why it could not be made.
    pub(crate) problem: Option<String>,
    lead: Lead,
    /// What has been told of the waits at it.
    told: Waited,
}

/// An edge that has moved, or that the files name no more.
struct Former {
    id: EdgeId,
    wire: Wire,
    /// Of its consumer; with the last of them, it goes.
    runs: Vec<u64>,
}

/// What waited at edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Waited {
    /// At one edge: which time it is that it holds.
    hold: u64,
    /// Requests and connections that waited.
    pub(crate) held: u64,
    /// The longest of these waits.
    pub(crate) longest: Duration,
    /// Those that were refused: too many waited, or for too long.
    pub(crate) refused: u64,
}

/// Where an edge was led last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lead {
    Real(Vec<SocketAddr>),
    /// Not by devctl: the consumer was told the provider's own address.
    Direct(String),
    Stub,
    Hold(String),
    Refused(String),
    Nowhere,
}

impl Wiring {
    pub(crate) fn new(edges: Arc<Edges>) -> Self {
        Self {
            edges,
            wires: BTreeMap::new(),
            former: Vec::new(),
            stubs: HashMap::new(),
            stubbed: BTreeSet::new(),
            draining: HashMap::new(),
        }
    }

    /// All edges, by name.
    pub(crate) fn wires(&self) -> impl Iterator<Item = (&EdgeId, &Wire)> {
        self.wires.iter()
    }

    /// Takes over an edge that has been opened, or could not be. One that was elsewhere before leads on while a run that was told
    /// of it is there.
    pub(crate) fn add(&mut self, id: EdgeId, opening: Opening, performer: &Performer) {
        let (edge, problem, lead) = match opening {
            Opening::Edge(edge) => (Some(edge), None, Lead::Nowhere),
            Opening::Problem(why) => (None, Some(why), Lead::Nowhere),
            Opening::Direct(at) => (None, None, Lead::Direct(at)),
        };
        let wire = Wire {
            edge,
            problem,
            lead,
            told: Waited::default(),
        };
        let now = wire.address();
        self.former
            .retain(|former| former.id != id || now.is_none() || former.wire.address() != now);
        if let Some(before) = self.wires.insert(id.clone(), wire)
            && before.address() != now
        {
            self.keep(id, before, performer);
        }
    }

    /// Takes over what is open under a name of `wanted` and was never told of: what opened it came to no end.
    pub(crate) fn add_found<'a>(&mut self, wanted: impl Iterator<Item = &'a EdgeId>, performer: &Performer) {
        for id in wanted {
            let known = self.wires.get(id).and_then(Wire::address);
            if let Some(edge) = self.edges.get(id)
                && known != Some(edge.address())
            {
                self.add(id.clone(), Opening::Edge(edge), performer);
            }
        }
    }

    fn keep(&mut self, id: EdgeId, wire: Wire, performer: &Performer) {
        let of_consumer = performer
            .all_live()
            .filter(|(_, live)| live.spec.id.service() == id.consumer);
        let runs = of_consumer.map(|(run, _)| run).collect();
        self.former.push(Former { id, wire, runs });
    }

    /// A stand-in for a provider, for one consumer alone. Whether that consumer is answered otherwise from now on.
    pub(crate) fn add_stub(&mut self, stand_in: StandIn) -> bool {
        let pair = (stand_in.consumer.clone(), stand_in.provider.clone());
        let digest = stand_in.digest.clone();
        let before = self.stubs.insert(pair.clone(), stand_in);
        // Also one of the same contracts: whoever made it may choose its states.
        self.turn_anew(&pair) && before.is_none_or(|before| before.digest != digest)
    }

    /// Whether somebody is answered from contracts.
    pub(crate) fn has_stand_ins(&self) -> bool {
        self.wires.values().any(|wire| wire.lead == Lead::Stub)
    }

    /// Stand-ins from the pacts as they are now. While one of these cannot be read, whoever may miss it keeps the one before. Who is
    /// answered otherwise from now on: consumers, by provider.
    pub(crate) fn follow(&mut self, read: Reread) -> BTreeMap<String, Vec<String>> {
        let is_sound = read.problems.is_empty();
        if is_sound {
            self.keep_stubs(&read.stand_ins);
        }
        let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for stand_in in read.stand_ins {
            let (consumer, provider) = (stand_in.consumer.clone(), stand_in.provider.clone());
            let before = self.stubs.get(&(consumer.clone(), provider.clone()));
            let misses_none = before.is_none_or(|before| before.origins.is_subset(&stand_in.origins));
            if (is_sound || misses_none) && self.add_stub(stand_in) {
                changed.entry(provider).or_default().push(consumer);
            }
        }
        changed
    }

    /// Forgets stand-ins that are none of these: their contracts are gone.
    fn keep_stubs(&mut self, these: &[StandIn]) {
        let of = |stand_in: &StandIn| (stand_in.consumer.clone(), stand_in.provider.clone());
        let kept: HashSet<(String, String)> = these.iter().map(of).collect();
        let gone: Vec<(String, String)> = self
            .stubs
            .keys()
            .filter(|pair| !kept.contains(*pair))
            .cloned()
            .collect();
        for pair in gone {
            self.stubs.remove(&pair);
            self.turn_anew(&pair);
        }
    }

    /// An edge that leads to a stand-in is turned again. Whether there is one.
    fn turn_anew(&mut self, pair: &(String, String)) -> bool {
        let mut found = false;
        for (id, wire) in &mut self.wires {
            if id.consumer == pair.0 && id.provider == pair.1 && wire.lead == Lead::Stub {
                wire.lead = Lead::Nowhere;
                found = true;
            }
        }
        found
    }

    /// Leads a service's consumers to its stand-in, or back.
    pub(crate) fn answer_from_contracts(&mut self, service: &str, on: bool) {
        match on {
            true => self.stubbed.insert(service.to_owned()),
            false => self.stubbed.remove(service),
        };
    }

    /// Services that are answered from contracts on request.
    pub(crate) fn answered_from_contracts(&self) -> Vec<String> {
        self.stubbed.iter().cloned().collect()
    }

    /// Leads each edge to whoever serves now.
    pub(crate) fn turn(&mut self, state: &State, performer: &Performer, now: Time) {
        let mut providers: HashMap<&str, Vec<NodeId>> = HashMap::new();
        for (id, _) in state.nodes() {
            providers.entry(id.service()).or_default().push(id.clone());
        }
        let ended = |former: &Former| !former.runs.iter().any(|run| performer.live(*run).is_some());
        for Former { wire, .. } in self.former.extract_if(.., |former| ended(former)) {
            if let Some(edge) = wire.edge {
                performer.means.tasks.spawn(async move { edge.close().await });
            }
        }
        let former = self.former.iter_mut().map(|former| (&former.id, &mut former.wire));
        for (id, wire) in self.wires.iter_mut().chain(former) {
            let Some(edge) = &wire.edge else { continue };
            let nodes = providers
                .get(id.provider.as_str())
                .map(Vec::as_slice)
                .unwrap_or_default();
            let lead = match self.stubbed.contains(&id.provider) {
                true => Lead::Stub,
                false => lead(id, nodes, state, performer, now),
            };
            if lead == wire.lead {
                continue;
            }
            let target = match &lead {
                Lead::Real(addresses) => Target::Real(addresses.clone()),
                Lead::Hold(why) => Target::hold(why.clone()),
                Lead::Refused(why) => Target::refused(why.clone()),
                Lead::Nowhere | Lead::Direct(_) => continue,
                Lead::Stub => match self.stubs.get(&(id.consumer.clone(), id.provider.clone())) {
                    Some(stand_in) => Target::Stub(stand_in.stub.clone()),
                    None => Target::refused(format!(
                        "{} is a stub, and no contract of {} with it is known",
                        id.provider, id.consumer
                    )),
                },
            };
            let draining = edge.target(target);
            if matches!(wire.lead, Lead::Real(_)) {
                self.draining.entry(id.provider.clone()).or_default().push(draining);
            }
            wire.lead = lead;
        }
    }

    /// What waited for a service while it was away; each wait is told once.
    pub(crate) fn waited(&mut self, service: &str) -> Waited {
        let mut all = Waited::default();
        let former = self.former.iter_mut().map(|former| (&former.id, &mut former.wire));
        for (_, wire) in self
            .wires
            .iter_mut()
            .chain(former)
            .filter(|(id, _)| id.provider == service)
        {
            let Some(report) = wire.edge.as_ref().map(Edge::held) else {
                continue;
            };
            let told = wire.told.tell(&report);
            all.held += told.held;
            all.refused += told.refused;
            all.longest = all.longest.max(told.longest);
        }
        all
    }

    /// What is still under way at old runs of the service; handed out once.
    pub(crate) fn take_draining(&mut self, service: &str) -> Vec<Draining> {
        self.draining.remove(service).unwrap_or_default()
    }

    /// Every edge that `keep` does not name goes, with the runs that were told of it.
    pub(crate) fn prune(&mut self, keep: impl Fn(&EdgeId) -> bool, performer: &Performer) {
        let gone: Vec<EdgeId> = self.wires.keys().filter(|id| !keep(id)).cloned().collect();
        for id in gone {
            self.edges.set_aside(&id);
            if let Some(wire) = self.wires.remove(&id) {
                self.keep(id, wire, performer);
            }
        }
    }
}

impl Waited {
    /// What is new in `report`, which counts as told from now on.
    fn tell(&mut self, report: &HoldReport) -> Self {
        let before = if self.hold == report.number {
            *self
        } else {
            Self::default()
        };
        *self = Self {
            hold: report.number,
            held: report.held,
            longest: report.longest,
            refused: report.refused,
        };
        let held = self.held.saturating_sub(before.held);
        Self {
            held,
            refused: self.refused.saturating_sub(before.refused),
            longest: if held > 0 { self.longest } else { Duration::ZERO },
            ..*self
        }
    }
}

impl Wire {
    /// Where it listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.edge.as_ref().map(Edge::address)
    }

    /// Where it leads, in words.
    pub(crate) fn target(&self) -> String {
        let mut target = self.lead();
        let faults = self.edge.as_ref().map(Edge::faults).unwrap_or_default();
        if !faults.is_empty() {
            let names: Vec<String> = faults.into_iter().map(|fault| fault.name).collect();
            target.push_str(&format!(", faulted: {}", names.join(", ")));
        }
        target
    }

    fn lead(&self) -> String {
        match &self.lead {
            Lead::Real(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                format!("real {}", addresses.join(", "))
            }
            Lead::Direct(at) => format!("direct {at}"),
            Lead::Stub => "stub".to_owned(),
            Lead::Hold(why) => format!("held: {why}"),
            Lead::Refused(why) => format!("refused: {why}"),
            Lead::Nowhere => "nowhere yet".to_owned(),
        }
    }

    /// What went over it.
    pub(crate) fn stats(&self) -> Option<devctl_edge::EdgeStats> {
        self.edge.as_ref().map(Edge::stats)
    }
}

fn lead(id: &EdgeId, nodes: &[NodeId], state: &State, performer: &Performer, now: Time) -> Lead {
    let mut addresses = Vec::new();
    let mut why = None;
    let mut coming = false;
    for node in nodes {
        match state.serving(node, now) {
            Serving::Run(run) => match performer.live(run) {
                Some(live) if matches!(live.spec.what, What::Stub) => return Lead::Stub,
                Some(live) => match live.at(id.port) {
                    Some(at) => addresses.push(at),
                    None => why = Some(format!("{node} listens on no port {}", id.port)),
                },
                None => coming = true,
            },
            Serving::Soon => coming = true,
            Serving::Nobody { why: reason } => why = Some(format!("{node}: {reason}")),
        }
    }
    match (addresses.is_empty(), coming, why) {
        (false, _, _) => Lead::Real(addresses),
        (true, true, _) => Lead::Hold(format!("{} is on its way", id.provider)),
        (true, false, Some(why)) => Lead::Refused(why),
        (true, false, None) => Lead::Refused(format!("{} is not part of the project", id.provider)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stubs;

    /// The stand-ins between `web` and `shop` from what is in this folder.
    async fn read(folder: &std::path::Path) -> Reread {
        let contracts = stubs::read(&["*.json".to_owned()], folder).await;
        let made = contracts.stub("web", "shop");
        let made = made.map(|(of, stub)| StandIn::new("web", "shop", &of, stub));
        Reread {
            stand_ins: made.into_iter().collect(),
            problems: contracts.problems,
        }
    }

    #[test]
    fn each_wait_is_told_once_and_a_new_hold_counts_from_nothing() {
        let report = |number, held, refused| HoldReport {
            number,
            held,
            refused,
            longest: Duration::from_secs(number),
            ..HoldReport::default()
        };
        let mut told = Waited::default();
        let mut tell = |report| {
            let new = told.tell(&report);
            (new.held, new.refused, new.longest.as_secs())
        };
        assert_eq!(tell(report(1, 40, 0)), (40, 0, 1));
        assert_eq!(tell(report(1, 40, 0)), (0, 0, 0));
        assert_eq!(tell(report(1, 42, 1)), (2, 1, 1));
        assert_eq!(
            tell(report(2, 50, 20)),
            (50, 20, 2),
            "more than before, and all of them new"
        );
        assert_eq!(tell(report(3, 0, 0)), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_pact_that_is_half_written_takes_no_promise_away() {
        let folder = tempfile::tempdir().unwrap();
        let pact = |path: &str| {
            let call = serde_json::json!({
                "consumer": {"name": "web"}, "provider": {"name": "shop"},
                "interactions": [{
                    "description": path,
                    "request": {"method": "GET", "path": path},
                    "response": {"status": 200},
                }],
                "metadata": {"pactSpecification": {"version": "3.0.0"}},
            });
            call.to_string()
        };
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let mut wiring = Wiring::new(Arc::new(Edges::new(devctl_edge::EdgesConfig::default()).unwrap()));
        let digest = |wiring: &Wiring| {
            let of = wiring.stubs.get(&("web".to_owned(), "shop".to_owned()));
            of.map(|stand_in| stand_in.digest.clone())
        };
        write("one.json", &pact("/one"));
        write("two.json", &pact("/two"));
        wiring.follow(read(folder.path()).await);
        let both = digest(&wiring).expect("a stand-in");

        let whole = pact("/two/more");
        write("two.json", &whole[..whole.len() / 2]);
        let half = read(folder.path()).await;
        assert!(!half.problems.is_empty() && half.stand_ins.len() == 1);
        wiring.follow(half);
        assert_eq!(
            digest(&wiring).as_ref(),
            Some(&both),
            "it keeps to what was there before"
        );

        write("two.json", &whole);
        write("other.json", "{");
        wiring.follow(read(folder.path()).await);
        let more = digest(&wiring);
        assert_ne!(more, Some(both), "all that it answered from is there, and is another");

        std::fs::remove_file(folder.path().join("other.json")).unwrap();
        std::fs::remove_file(folder.path().join("two.json")).unwrap();
        wiring.follow(read(folder.path()).await);
        assert!(
            digest(&wiring).is_some_and(|one| Some(one) != more),
            "one was taken away"
        );
    }
}
