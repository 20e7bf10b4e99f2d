//! The index: every contract that was found, by consumer, provider, method and path.
//!
//! [`source`] says where pacts are looked for, [`mod@load`] reads one, [`contract`] is what it becomes, [`routes`] finds
//! interactions by method and path.

pub mod contract;
mod lines;
pub mod load;
pub mod routes;
pub mod source;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use contract::{Contract, Interaction, InteractionId, Kind};
pub use load::{LoadError, Origin, parse};
pub use source::{Loaded, Source, load};

use routes::Routes;

/// Every contract of a project. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Index {
    contracts: Arc<Vec<Arc<Contract>>>,
    operations: Arc<Vec<Operations>>,
}

/// The HTTP interactions of one provider, by method and path.
#[derive(Debug)]
struct Operations {
    provider: String,
    routes: Routes,
    interactions: Vec<(Arc<Contract>, Arc<Interaction>)>,
}

impl Index {
    /// An index of `contracts`, which keep their order.
    pub fn new(contracts: Vec<Arc<Contract>>) -> Self {
        let providers: BTreeSet<&str> = contracts.iter().map(|contract| contract.provider.as_str()).collect();
        let operations = providers
            .into_iter()
            .map(|provider| Operations::new(provider, &contracts))
            .collect();
        Self {
            operations: Arc::new(operations),
            contracts: Arc::new(contracts),
        }
    }

    /// Every contract.
    pub fn contracts(&self) -> &[Arc<Contract>] {
        &self.contracts
    }

    /// The names of all providers, sorted.
    pub fn providers(&self) -> Vec<&str> {
        self.operations
            .iter()
            .map(|operations| operations.provider.as_str())
            .collect()
    }

    /// The names of all consumers, sorted.
    pub fn consumers(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self
            .contracts
            .iter()
            .map(|contract| contract.consumer.as_str())
            .collect();
        names.into_iter().collect()
    }

    /// What is promised by `provider`, to whomever.
    pub fn of_provider<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a Arc<Contract>> {
        self.contracts
            .iter()
            .filter(move |contract| contract.provider == provider)
    }

    /// What `consumer` expects, of whomever.
    pub fn of_consumer<'a>(&'a self, consumer: &'a str) -> impl Iterator<Item = &'a Arc<Contract>> {
        self.contracts
            .iter()
            .filter(move |contract| contract.consumer == consumer)
    }

    /// What `consumer` expects of `provider`: usually one contract, but a pair may be spread over several files.
    pub fn between(&self, consumer: &str, provider: &str) -> Vec<Arc<Contract>> {
        let pair = |contract: &&Arc<Contract>| contract.consumer == consumer && contract.provider == provider;
        self.contracts.iter().filter(pair).cloned().collect()
    }

    /// The HTTP interactions of `provider` whose method and path allow `method` and `path`, from every consumer.
    pub fn operations(&self, provider: &str, method: &str, path: &str) -> Vec<(Arc<Contract>, Arc<Interaction>)> {
        let Some(of) = self
            .operations
            .iter()
            .find(|operations| operations.provider == provider)
        else {
            return Vec::new();
        };
        of.routes
            .find(method, path)
            .into_iter()
            .map(|at| of.interactions[at].clone())
            .collect()
    }
}

impl Operations {
    fn new(provider: &str, contracts: &[Arc<Contract>]) -> Self {
        let mut routes = Routes::default();
        let mut interactions = Vec::new();
        for contract in contracts.iter().filter(|contract| contract.provider == provider) {
            for interaction in &contract.interactions {
                if let Kind::Http(http) = &interaction.kind {
                    routes.add(interactions.len(), &http.request);
                    interactions.push((Arc::clone(contract), Arc::clone(interaction)));
                }
            }
        }
        Self {
            provider: provider.to_owned(),
            routes,
            interactions,
        }
    }
}
