//! Stand-ins for the consumers of services that are answered from contracts.

use std::collections::HashSet;
use std::sync::Arc;

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_edge::EdgeId;

use super::{edges, pacticipant};
use crate::command::Remark;
use crate::stubs::{self, Contracts, StandIn};

/// Whose stand-ins there could be, and the project that names their pacts: enough to read these again at any time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Promised {
    project: Arc<Project>,
    pairs: Arc<HashSet<(String, String)>>,
}

/// The pacts as they are now.
pub(crate) struct Reread {
    /// For every consumer and provider that have a contract.
    pub(crate) stand_ins: Vec<StandIn>,
    /// What could not be read.
    pub(crate) problems: Vec<String>,
}

/// A stand-in for each consumer of a service that is answered from contracts.
pub(super) async fn of(
    project: &Project,
    is_stubbed: impl Fn(&str) -> bool,
    wanted: &edges::Wanted,
    remarks: &mut Vec<Remark>,
) -> Vec<StandIn> {
    let pairs = pairs(wanted, is_stubbed);
    if pairs.is_empty() {
        return Vec::new();
    }
    let contracts = read(project).await;
    for text in &contracts.problems {
        remarks.push(Remark {
            node: None,
            text: text.clone(),
            help: None,
        });
    }
    let mut made = Vec::new();
    for (consumer, provider) in pairs {
        match stand_in(project, &contracts, &consumer, &provider) {
            Some(stand_in) => made.push(stand_in),
            None if consumer == EdgeId::HOST => {}
            None => remarks.push(Remark {
                node: Some(NodeId::from(provider.as_str())),
                text: format!(
                    "there is no contract between {} and {}: {consumer} is refused",
                    pacticipant(project, &consumer, false),
                    pacticipant(project, &provider, true)
                ),
                help: Some(
                    "name the pacts: `x-devctl: {contracts: {pacts: [...]}}` at the top of the Compose file".to_owned(),
                ),
            }),
        }
    }
    made
}

impl Promised {
    pub(super) fn new(project: Arc<Project>, wanted: &edges::Wanted) -> Self {
        Self {
            project,
            pairs: Arc::new(pairs(wanted, |_| true)),
        }
    }

    /// All that there could be: whose edges lead to theirs is the loop's to know.
    pub(crate) async fn read(&self) -> Reread {
        let contracts = read(&self.project).await;
        let stand_in = |(consumer, provider): &(String, String)| {
            let (consumer, provider) = (consumer.as_str(), provider.as_str());
            stand_in(&self.project, &contracts, consumer, provider)
        };
        Reread {
            stand_ins: self.pairs.iter().filter_map(stand_in).collect(),
            problems: contracts.problems.clone(),
        }
    }
}

fn pairs(wanted: &edges::Wanted, of_provider: impl Fn(&str) -> bool) -> HashSet<(String, String)> {
    let ids = wanted.ids();
    let of_provider = ids.iter().filter(|id| of_provider(&id.provider));
    of_provider
        .map(|id| (id.consumer.clone(), id.provider.clone()))
        .collect()
}

async fn read(project: &Project) -> Contracts {
    let named = project.x_devctl.contracts.as_ref();
    let sources = named.map(|contracts| contracts.pacts.clone()).unwrap_or_default();
    stubs::read(&sources, &project.working_dir).await
}

fn stand_in(project: &Project, contracts: &Contracts, consumer: &str, provider: &str) -> Option<StandIn> {
    let as_consumer = pacticipant(project, consumer, false);
    let as_provider = pacticipant(project, provider, true);
    let (contracts, stub) = contracts.stub(&as_consumer, &as_provider)?;
    Some(StandIn::new(consumer, provider, &contracts, stub))
}
