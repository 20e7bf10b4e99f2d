//! What is to be verified, and where: the promises that were asked for, sorted by provider.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use devctl_compose::model::{Project, Service};
use devctl_pact::index::{Contract, Index, Interaction, Kind, Source};
use devctl_pact::verify::{Outcome, Selection, Verdict, Why};
use url::Url;

use super::messages::{self, RECEIVED};
use super::{VerifyArgs, VerifyError};
use crate::prepare::pacticipant;

/// One promise with the contract that it is of.
pub(super) type Promise = (Arc<Contract>, Arc<Interaction>);

/// All promises of one provider that were asked for.
#[derive(Clone)]
pub(super) struct Work {
    /// As the pacts name it.
    pub(super) provider: String,
    pub(super) place: Place,
    pub(super) promises: Vec<Promise>,
    /// Messages that others promise to it: it must take them.
    pub(super) receives: Vec<Promise>,
}

/// Where a provider is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This service of the project, started for it.
    Service(String),
    /// Where it runs.
    Url(Url),
    /// Nowhere.
    NotHere { what: String, help: String },
}

/// Everything that was found.
pub(super) struct Found {
    pub(super) index: Index,
    pub(super) works: Vec<Work>,
    pub(super) problems: Vec<String>,
}

/// Reads the pacts and picks what was asked for.
pub(super) async fn find(args: &VerifyArgs, project: &Project) -> Result<Found, VerifyError> {
    let (sources, base) = match args.pacts.is_empty() {
        false => (args.pacts.clone(), Path::new(&args.source.working_directory).to_owned()),
        true => {
            let contracts = project.x_devctl.contracts.as_ref();
            let pacts = contracts.map(|contracts| contracts.pacts.clone()).unwrap_or_default();
            (pacts, project.working_dir.clone())
        }
    };
    if sources.is_empty() {
        return Err(VerifyError::Nothing {
            what: "find pacts: none are named".to_owned(),
            help: "name them: `devctl verify FILE|FOLDER|URL`, or `x-devctl: {contracts: {pacts: [...]}}` at the top of the Compose file".to_owned(),
        });
    }
    let sources: Vec<Source> = sources.iter().map(|text| Source::from_text(text)).collect();
    let loaded = devctl_pact::index::load(&sources, &base).await;
    let mut problems: Vec<String> = loaded.problems.iter().map(|error| crate::start::told(error)).collect();
    let index = Index::new(loaded.contracts);
    if index.contracts().is_empty() {
        if problems.is_empty() {
            problems.push("no pact was found".to_owned());
        }
        return Ok(Found {
            index,
            works: Vec::new(),
            problems,
        });
    }
    let urls = urls(args)?;
    if let Some(name) = urls.keys().find(|name| !index.providers().contains(&name.as_str())) {
        return Err(VerifyError::Nothing {
            what: format!("find a contract whose provider is `{name}`, for `--url`"),
            help: format!("the pacts have {}", index.providers().join(", ")),
        });
    }
    let selection = selection(args, project, &index)?;
    let mut works: BTreeMap<String, Work> = BTreeMap::new();
    let new = |name: &str| Work {
        place: place(project, name, &urls),
        provider: name.to_owned(),
        promises: Vec::new(),
        receives: Vec::new(),
    };
    let only = args.interaction.as_ref().map(regex::Regex::as_str).unwrap_or_default();
    for (contract, interaction) in selection.pick(&index) {
        // An id is that of one side alone.
        if matches!(interaction.kind, Kind::Message(_))
            && only != interaction.id.0
            && let Some(service) = receiver(args, project, &contract.consumer)
        {
            let work = works.entry(service.clone()).or_insert_with(|| new(&service));
            work.receives.push((contract.clone(), interaction.clone()));
        }
        if !only.ends_with(RECEIVED) {
            let provider = contract.provider.clone();
            let work = works.entry(provider).or_insert_with_key(|provider| new(provider));
            work.promises.push((contract, interaction));
        }
    }
    let works: Vec<Work> = works.into_values().collect();
    if works.is_empty() && args.shard.is_none() {
        let asked = args
            .interaction
            .as_ref()
            .map(|regex| regex.as_str())
            .unwrap_or_default();
        return Err(VerifyError::Nothing {
            what: format!("find an interaction that is, or is described by, `{asked}`"),
            help: "`devctl verify --dry-run` lists what there is".to_owned(),
        });
    }
    Ok(Found { index, works, problems })
}

/// The names as the pacts have them; one that no pact has is refused.
fn selection(args: &VerifyArgs, project: &Project, index: &Index) -> Result<Selection, VerifyError> {
    let known = |asked: &[String], names: Vec<&str>, provider: bool| {
        let name = |name: &String| {
            let as_pacts_say = pacticipant(project, name, provider);
            let found = [name, &as_pacts_say]
                .into_iter()
                .find(|name| names.contains(&name.as_str()));
            let word = if provider { "provider" } else { "consumer" };
            found.cloned().ok_or_else(|| VerifyError::Nothing {
                what: format!("find a contract whose {word} is `{name}`"),
                help: format!("the pacts have {}", names.join(", ")),
            })
        };
        asked.iter().map(name).collect::<Result<Vec<_>, _>>()
    };
    Ok(Selection {
        providers: known(&args.providers, index.providers(), true)?,
        consumers: known(&args.consumers, index.consumers(), false)?,
        interaction: args.interaction.as_ref().map(without_side),
        shard: args.shard,
    })
}

/// The provider's name of the service that is that consumer, where its own side of messages is asked for.
fn receiver(args: &VerifyArgs, project: &Project, consumer: &str) -> Option<String> {
    let service = project
        .services
        .values()
        .find(|service| pacticipant(project, &service.name, false) == consumer)?;
    let name = pacticipant(project, &service.name, true);
    let asked = [&args.providers, &args.consumers].into_iter().flatten();
    let named = |asked: &String| *asked == name || *asked == service.name || asked == consumer;
    let asked = args.providers.is_empty() || asked.into_iter().any(named);
    (asked && matches!(place(project, &name, &BTreeMap::new()), Place::Service(_))).then_some(name)
}

/// The id of a message's own promise, where that of its consumer's side is asked for.
fn without_side(regex: &regex::Regex) -> regex::Regex {
    let id = regex.as_str().strip_suffix(RECEIVED);
    id.and_then(|id| regex::Regex::new(id).ok())
        .unwrap_or_else(|| regex.clone())
}

fn urls(args: &VerifyArgs) -> Result<BTreeMap<String, Url>, VerifyError> {
    let parse = |(provider, written): &(String, String)| {
        let url = Url::parse(written).map_err(|error| VerifyError::Nothing {
            what: format!("understand `--url {provider}={written}`: {error}"),
            help: "write `--url PROVIDER=http://HOST:PORT`".to_owned(),
        })?;
        Ok((provider.clone(), url))
    };
    args.urls.iter().map(parse).collect()
}

/// Where `provider` is verified.
fn place(project: &Project, provider: &str, urls: &BTreeMap<String, Url>) -> Place {
    if let Some(url) = urls.get(provider) {
        return Place::Url(url.clone());
    }
    let help = format!("`--url {provider}=URL` verifies it where it runs");
    let is = |service: &&Service| pacticipant(project, &service.name, true) == provider;
    let Some(service) = project.services.values().find(is) else {
        let disabled = project.disabled_services.get(provider);
        return match disabled.and_then(|service| service.profiles.first()) {
            Some(profile) => Place::NotHere {
                what: format!("service `{provider}` is only there with a profile"),
                help: format!("`--profile {profile}` enables it"),
            },
            None => Place::NotHere {
                what: format!("`{provider}` is no service of this project"),
                help,
            },
        };
    };
    if service.x_devctl.stub {
        return Place::NotHere {
            what: format!("`{provider}` is never run here (`x-devctl.stub`)"),
            help,
        };
    }
    if !service.x_devctl.external.is_empty() {
        return Place::NotHere {
            what: format!("`{provider}` runs elsewhere (`x-devctl.external`)"),
            help,
        };
    }
    Place::Service(service.name.clone())
}

impl Work {
    /// One verdict on every promise.
    pub(super) fn all(&self, verdict: &Verdict, log: &[String]) -> Vec<Outcome> {
        let outcome = |(contract, interaction): &Promise| {
            let mut outcome = Outcome::new(contract, interaction, verdict.clone(), Default::default());
            outcome.logs = log.to_vec();
            outcome
        };
        let received = self.receives.iter().map(|promise| {
            let mut outcome = outcome(promise);
            messages::as_received(&mut outcome);
            outcome
        });
        self.promises.iter().map(outcome).chain(received).collect()
    }

    /// Every promise; true: its consumer's side is meant.
    pub(super) fn all_promises(&self) -> impl Iterator<Item = (&Promise, bool)> {
        let promises = self.promises.iter().map(|promise| (promise, false));
        promises.chain(self.receives.iter().map(|promise| (promise, true)))
    }

    /// How many verdicts are to be found.
    pub(super) fn len(&self) -> usize {
        self.promises.len() + self.receives.len()
    }

    /// The verdict on the promises of a provider that is not to be had.
    pub(super) fn not_here(what: &str, help: &str) -> Verdict {
        Verdict::CouldNotRun {
            why: Why::NotHere {
                what: what.to_owned(),
                help: Some(help.to_owned()),
            },
        }
    }
}

/// As the work has its promises, whatever was known and whatever was replayed.
pub(super) fn in_order(outcomes: &mut [Outcome], work: &Work) {
    let places: BTreeMap<(String, devctl_pact::index::InteractionId), usize> = work
        .all_promises()
        .enumerate()
        .map(|(at, ((contract, interaction), receives))| {
            ((contract.provider.clone(), messages::id(interaction, receives)), at)
        })
        .collect();
    outcomes.sort_by_key(|outcome| {
        places
            .get(&(outcome.provider.clone(), outcome.interaction.clone()))
            .copied()
    });
}
