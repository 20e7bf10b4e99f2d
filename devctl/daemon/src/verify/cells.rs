//! Builds a provider, and takes the verdicts that are known for what was built.
//!
//! A verdict is known by everything that could change it; see [`Ingredients`]. A cell is one contract's with one provider.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devctl_core::NodeId;
use devctl_core::plan::ContentHash;
use devctl_drivers::log::{LogStore, Redaction, Retention};
use devctl_pact::cells::{Cell, Ingredients, Key, Store};
use devctl_pact::index::{Contract, InteractionId};
use devctl_pact::verify::Outcome;
use devctl_wire::v1;
use sha2::{Digest, Sha256};

use super::messages::{self, RECEIVED};
use super::ready::not_ready;
use super::reduce::{self, Role};
use super::session::Session;
use super::work::Work;
use super::{Told, documents};
use crate::spec::NodeSpec;
use crate::specify::{self, Addresses, Choice, Ground};

/// What is known of a provider's promises.
pub(super) struct Known {
    store: Store,
    /// By the contract's digest and place.
    keys: BTreeMap<String, Key>,
}

/// Builds the service. Where it cannot be built, nothing is known of its promises.
pub(super) async fn build(session: &Session, work: &Work, service: &str) -> Result<(), Vec<Outcome>> {
    let Some(spec) = spec(session, service) else {
        return Ok(());
    };
    if spec.build.is_none() {
        return Ok(());
    }
    (session.tell)(Told::Building {
        provider: work.provider.clone(),
    });
    let logs = LogStore::new(&session.dirs(service).logs, Retention::default());
    let log = logs.run(service, 0, Redaction::new(&spec.secrets));
    let built = tokio::select! {
        built = crate::build::build(&spec, &log, &[], None) => built,
        () = session.stop.cancelled() => return Err(Vec::new()),
    };
    built.map(drop).map_err(|failure| {
        let failure = v1::Failure {
            what: format!("its build: {}", failure.what),
            help: failure.help.unwrap_or_default(),
            log_tail: failure.output,
            ..v1::Failure::default()
        };
        let (verdict, log) = not_ready(service, &failure);
        work.all(&verdict, &log)
    })
}

impl Known {
    /// What is known of `work`, whose service has been built. None where the product cannot be named by its content.
    pub(super) async fn of(session: &Session, work: &Work, service: &str) -> Option<Self> {
        let shared = shared(session, service)?;
        let mut keys = BTreeMap::new();
        for (contract, _) in work.promises.iter().chain(&work.receives) {
            let ingredients = Ingredients {
                pact: contract.digest.clone(),
                ..shared.clone()
            };
            keys.insert(name(contract), ingredients.key());
        }
        let store = Store::new(session.args.dirs.state.join("verdicts"));
        Some(Self { store, keys })
    }

    /// Takes what is known out of `work`.
    pub(super) fn take(&self, work: &mut Work) -> Vec<Outcome> {
        let mut taken = Vec::new();
        let mut cells: HashMap<&Key, Cell> = HashMap::new();
        for key in self.keys.values() {
            cells.entry(key).or_insert_with(|| self.store.read(key));
        }
        let cell = |contract: &Contract| cells.get(self.keys.get(&name(contract))?);
        work.promises.retain(|(contract, interaction)| {
            let known = cell(contract).and_then(|cell| cell.find_in(contract, interaction));
            let unknown = known.is_none();
            taken.extend(known);
            unknown
        });
        work.receives.retain(|(contract, interaction)| {
            let id = InteractionId(format!("{}{RECEIVED}", interaction.id));
            let known = cell(contract).and_then(|cell| cell.find(&id));
            let unknown = known.is_none();
            taken.extend(known);
            unknown
        });
        taken
    }

    /// Keeps new verdicts beside those that are known.
    pub(super) fn keep(&self, work: &Work, outcomes: &[Outcome]) {
        let mut cells: BTreeMap<&str, (&Key, Cell)> = BTreeMap::new();
        for ((contract, interaction), receives) in work.all_promises() {
            let id = messages::id(interaction, receives);
            let outcome = outcomes
                .iter()
                .find(|outcome| outcome.interaction == id && outcome.provider == contract.provider);
            let Some((outcome, key)) = outcome.zip(self.keys.get(&name(contract))) else {
                continue;
            };
            let (_, cell) = cells
                .entry(key.0.as_str())
                .or_insert_with(|| (key, self.store.read(key)));
            cell.keep(outcome);
        }
        for (key, cell) in cells.values() {
            if let Err(error) = self.store.write(key, cell) {
                tracing::warn!(%error, "verdicts could not be kept");
            }
        }
    }
}

fn name(contract: &Contract) -> String {
    format!("{} {}", contract.origin, contract.digest)
}

/// Everything but the pact.
fn shared(session: &Session, service: &str) -> Option<Ingredients> {
    let project = &session.project;
    let written = project.services.get(service)?;
    let spec = spec(session, service)?;
    let mut build = Sha256::new();
    build.update(format!("{:?}", written.x_devctl.native));
    if let Some(made) = spec.build.as_ref() {
        add(&mut build, &made.artefact.clone()?)?;
        for tree in &made.sources {
            add_tree(&mut build, &tree.path);
        }
    } else {
        // Nothing is built: what runs is the command's own files, and those beside them.
        let dir = written.x_devctl.native.as_ref()?.dir.as_deref().unwrap_or(".");
        add_tree(&mut build, &specify::normal(&project.working_dir.join(dir)));
        let words = written
            .x_devctl
            .native
            .iter()
            .flat_map(|native| native.command.iter().flatten());
        for word in words {
            let path = specify::normal(&project.working_dir.join(dir).join(word));
            if path.is_file() {
                add(&mut build, &path)?;
            }
        }
    }
    for (document, _) in documents::of(project, service) {
        add(&mut build, &document)?;
    }
    let states = session.states_file(service).and_then(|path| std::fs::read(path).ok());
    let needs = reduce::needs(project, service, &|name| session.has_contracts(name));
    let mut migrations = Sha256::new();
    let mut servers = Vec::new();
    for name in needs.beside.iter().chain(&needs.brokers) {
        let Some(server) = project.services.get(name) else {
            continue;
        };
        servers.push(format!(
            "{name} {} {:?}",
            server.to_json(),
            session.source.runtimes.get(name)
        ));
        migrations.update(specify::mounted(project, server));
        for (_, folder) in specify::binds(project, server)
            .into_iter()
            .filter(|(_, path)| path.is_dir())
        {
            add_tree(&mut migrations, &folder);
        }
        if reduce::role(server, false) == Role::Neighbour {
            // A job that prepares the servers is as much a part of what is verified as the provider.
            let job = self::spec(session, name)?;
            add(&mut migrations, &job.build?.artefact?)?;
        }
    }
    servers.push(session.machine.clone());
    let consumer = crate::prepare::pacticipant(project, service, false);
    let neighbours = session
        .index
        .of_consumer(&consumer)
        .map(|contract| contract.digest.clone());
    let environment = spec
        .environment
        .iter()
        .map(|(key, value)| (key.clone(), digest(value.as_bytes())));
    Some(Ingredients {
        pact: String::new(),
        build: hex(build),
        states: states.map(|text| digest(&text)).unwrap_or_default(),
        migrations: hex(migrations),
        environment: environment.collect(),
        neighbours: neighbours.collect(),
        servers,
        target: format!(
            "{} ms, reference {}, {}",
            session.args.answer_within.as_millis(),
            session.args.reference,
            devctl_wire::VERSION
        ),
    })
}

/// Everything that makes a server, or a job that prepares one, what it is: as written, with the content that it is given.
pub(super) fn server(session: &Session, name: &str) -> String {
    let project = &session.project;
    let Some(server) = project.services.get(name) else {
        return String::new();
    };
    let mut hasher = Sha256::new();
    hasher.update(server.to_json().to_string());
    hasher.update(format!("{:?}", session.source.runtimes.get(name)));
    hasher.update(specify::mounted(project, server));
    let binds = specify::binds(project, server).into_iter();
    for (_, folder) in binds.filter(|(_, path)| path.is_dir()) {
        add_tree(&mut hasher, &folder);
    }
    if let Some(made) = spec(session, name).and_then(|spec| spec.build?.artefact) {
        // What is not there yet is made by the time it is looked at again.
        let _not_there = add(&mut hasher, &made);
    }
    hex(hasher)
}

fn add(hasher: &mut Sha256, path: &Path) -> Option<()> {
    hasher.update(path.as_os_str().as_encoded_bytes());
    hasher.update(crate::build::digest(path)?.0);
    Some(())
}

/// The content of every file of a tree that git does not ignore.
fn add_tree(hasher: &mut Sha256, path: &Path) {
    let tree = crate::spec::SourceTree::all(path);
    let files: Vec<PathBuf> = crate::sources::files(&tree);
    for file in files {
        // A file that goes while it is looked at is one that is not there.
        let _gone = add(hasher, &file);
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hex(hasher)
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The service as it is run, without the addresses that it is told.
fn spec(session: &Session, service: &str) -> Option<NodeSpec> {
    let source = &session.args.source;
    let written = session.project.services.get(service)?;
    // What runs in a container is built by the engine, when it is brought up.
    written.x_devctl.native.as_ref()?.command.as_ref()?;
    let choices = HashMap::from([(service.to_owned(), Choice::Process)]);
    let ground = Ground {
        project: &session.project,
        dirs: &session.dirs(service),
        caller: Arc::new(source.environment.clone().into_iter().collect()),
        engine: None,
        choices: &choices,
        addresses: &Addresses::new(&session.project),
        redact: crate::prepare::redacted(&session.project),
        pull: None,
        renew_volumes: false,
    };
    Some(specify::node(
        &ground,
        written,
        NodeId::from(service),
        ContentHash(String::new()),
    ))
}
