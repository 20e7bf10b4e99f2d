//! What is expected of whom while the graph runs: the project's pacts, read again when one of their files changes, and in the place of
//! those that a consumer's tests write otherwise now, what they have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use devctl_compose::model::Project;
use devctl_pact::drift::{self, Verdict};
use devctl_pact::index::{Contract, Index, Kind, Source};

use super::beside::Subject;
use crate::prepare::pacticipant;
use crate::specify;
use crate::start::told;

/// Everything that is expected.
#[derive(Default)]
pub(super) struct Expected {
    committed: Option<Committed>,
    /// What tests have written that differs from what is committed, by consumer.
    written: BTreeMap<String, Vec<Arc<Contract>>>,
}

/// The pacts' files as they were read last.
struct Committed {
    places: Vec<String>,
    dir: PathBuf,
    contracts: Vec<Arc<Contract>>,
    problems: Vec<String>,
}

impl Expected {
    /// All of it, and what of the pacts could not be read.
    pub(super) async fn read(&mut self, subject: &Subject) -> (Arc<Index>, Vec<String>) {
        let places = places(&subject.project);
        let known = |known: &&Committed| known.places == places && known.dir == subject.project.working_dir;
        if self.committed.as_ref().filter(known).is_none() {
            let sources: Vec<Source> = places.iter().map(|text| Source::from_text(text)).collect();
            let loaded = devctl_pact::index::load(&sources, &subject.project.working_dir).await;
            self.committed = Some(Committed {
                places,
                dir: subject.project.working_dir.clone(),
                contracts: loaded.contracts,
                problems: loaded.problems.iter().map(|problem| told(problem)).collect(),
            });
        }
        let (committed, problems) = match &self.committed {
            Some(committed) => (committed.contracts.as_slice(), committed.problems.clone()),
            None => (&[][..], Vec::new()),
        };
        let written: Vec<Arc<Contract>> = self.written.values().flatten().cloned().collect();
        let overruled = |contract: &&Arc<Contract>| written.iter().any(|other| is_same_pair(other, contract));
        let committed = committed.iter().filter(|contract| !overruled(contract)).cloned();
        (
            Arc::new(Index::new(committed.chain(written.iter().cloned()).collect())),
            problems,
        )
    }

    /// The files are read again by whoever asks next. What was committed before.
    pub(super) fn forget(&mut self) -> Vec<Arc<Contract>> {
        self.committed
            .take()
            .map(|committed| committed.contracts)
            .unwrap_or_default()
    }

    /// Pacticipants of whom something else is committed now than before.
    pub(super) fn changed_since(&self, before: &[Arc<Contract>]) -> BTreeSet<String> {
        let now = self.committed.as_ref().map(|committed| committed.contracts.as_slice());
        changed(before, now.unwrap_or_default())
    }

    /// A consumer's tests have written this: where it is not what is committed, it is what is expected from now on. Whoever is
    /// expected something else of now than before, and those of whom it is not what is committed.
    pub(super) fn wrote(&mut self, consumer: &str, contracts: Vec<Arc<Contract>>) -> (BTreeSet<String>, Vec<String>) {
        let committed = self
            .committed
            .as_ref()
            .map(|committed| committed.contracts.clone())
            .unwrap_or_default();
        let pairs = drift::drift(&committed, &contracts, &BTreeSet::from([consumer.to_owned()]));
        let differs = |contract: &Arc<Contract>| {
            let pair = pairs
                .iter()
                .find(|pair| pair.consumer == contract.consumer && pair.provider == contract.provider);
            contract.consumer == consumer && pair.is_some_and(|pair| pair.verdict != Verdict::Same)
        };
        let new: Vec<Arc<Contract>> = contracts.into_iter().filter(differs).collect();
        let mut of: Vec<String> = new.iter().map(|contract| contract.provider.clone()).collect();
        of.sort();
        of.dedup();
        let before = self
            .written
            .insert(consumer.to_owned(), new.clone())
            .unwrap_or_default();
        (changed(&before, &new), of)
    }
}

fn is_same_pair(one: &Contract, other: &Contract) -> bool {
    one.consumer == other.consumer && one.provider == other.provider
}

/// Where the project says that its pacts are.
fn places(project: &Project) -> Vec<String> {
    let contracts = project.x_devctl.contracts.as_ref();
    contracts.map(|contracts| contracts.pacts.clone()).unwrap_or_default()
}

/// Pacticipants that are expected, or promised, something else: providers, and consumers of messages.
fn changed(before: &[Arc<Contract>], after: &[Arc<Contract>]) -> BTreeSet<String> {
    let is_in = |contract: &Arc<Contract>, all: &[Arc<Contract>]| {
        all.iter()
            .any(|other| is_same_pair(other, contract) && other.digest == contract.digest)
    };
    let gone = before.iter().filter(|contract| !is_in(contract, after));
    let new = after.iter().filter(|contract| !is_in(contract, before));
    gone.chain(new).flat_map(|contract| concerned(contract)).collect()
}

fn concerned(contract: &Contract) -> Vec<String> {
    let takes_messages = contract
        .interactions
        .iter()
        .any(|one| matches!(one.kind, Kind::Message(_)));
    let consumer = takes_messages.then(|| contract.consumer.clone());
    consumer.into_iter().chain([contract.provider.clone()]).collect()
}

/// The services that are those pacticipants.
pub(super) fn services(project: &Project, names: &BTreeSet<String>) -> Vec<String> {
    let is = |name: &String| {
        let as_provider = pacticipant(project, name, true);
        names.contains(&as_provider) || names.contains(&pacticipant(project, name, false))
    };
    project.services.keys().filter(|name| is(name)).cloned().collect()
}

/// Every file and folder whose change may change what is expected, or how it is verified.
pub(crate) fn watched(project: &Project) -> Vec<PathBuf> {
    let states = project
        .services
        .values()
        .filter_map(|service| service.x_devctl.contracts.as_ref()?.states.clone());
    let local = |place: &String| !place.contains("://");
    let mut paths: Vec<PathBuf> = places(project)
        .into_iter()
        .chain(states)
        .filter(local)
        .map(|place| specify::normal(&project.working_dir.join(place)))
        .map(|path| match path.to_str().and_then(|text| text.find(['*', '?', '['])) {
            // A pattern: everything below the last folder that is none.
            Some(at) => path
                .to_str()
                .map(|text| text[..at].rsplit_once('/').map_or("/", |(dir, _)| dir).into())
                .unwrap_or(path),
            None => path,
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_watched_from_their_folder_on_and_addresses_not_at_all() {
        let mut project = Project {
            working_dir: "/p".into(),
            ..Project::default()
        };
        project.x_devctl.contracts = Some(devctl_compose::model::ProjectContracts {
            pacts: ["pacts", "more/a-*.json", "http://broker/pact"]
                .map(str::to_owned)
                .to_vec(),
            ..Default::default()
        });
        let watched: Vec<String> = watched(&project)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(watched, ["/p/more", "/p/pacts"]);
    }
}
