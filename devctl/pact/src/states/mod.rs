//! Provider states: what a service's `states.yaml` declares, and carrying it out before each interaction.
//!
//! A state is a list of steps over its parameters: `sql` with bound parameters, `http` at the provider, `amqp`, and
//! `stub`, which says what a neighbour answers, since the state of a service without a database is just that. [`mod@file`]
//! reads the declaration, [`steps`] are the traits by which steps are done, [`postgres`] and [`http`] do two of them. [`serve`] sets states for other verifiers.

pub mod file;
mod fill;
mod frozen;
pub mod http;
pub mod postgres;
pub mod serve;
pub mod steps;

use std::collections::BTreeMap;

use async_trait::async_trait;
use pact_models::provider_states::ProviderState;
use serde_json::Value;

use crate::verify::{ProviderStates, StateFailure, Values};
use file::{Declared, State, Step};
use fill::{filled, filled_call, filled_message, text};
use steps::{Doers, StepError};

pub use file::{StatesError, parse};

/// Sets a service's declared states.
pub struct Executor {
    declared: Declared,
    doers: Doers,
}

type Params = BTreeMap<String, Value>;

impl Executor {
    /// Sets what is `declared` by means of `doers`.
    pub fn new(declared: Declared, doers: Doers) -> Self {
        Self { declared, doers }
    }

    /// What is declared.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    async fn fresh(&self) -> Result<(), StepError> {
        if let Some(sql) = &self.doers.sql {
            sql.reset(&self.declared.keep).await?;
        }
        if let Some(stubs) = &self.doers.stubs {
            stubs.set(BTreeMap::new()).await?;
        }
        Ok(())
    }

    /// The declared state of `wanted`'s name, and its parameters: the contract's above the defaults.
    fn find(&self, wanted: &ProviderState) -> Result<(&State, Params), StateFailure> {
        let states = &self.declared.states;
        let Some(state) = states.get(&wanted.name) else {
            return Err(StateFailure {
                what: format!("find the state `{}` in {}", wanted.name, self.declared.origin),
                help: Some(known("state", &wanted.name, states.keys())),
            });
        };
        let mut params = state.params.clone();
        for (name, value) in &wanted.params {
            if params.insert(name.clone(), value.clone()).is_none() {
                return Err(StateFailure {
                    what: format!(
                        "set the parameter `{name}` of the state `{}`: it takes none of that name",
                        wanted.name
                    ),
                    help: Some(known("parameter", name, state.params.keys())),
                });
            }
        }
        Ok((state, params))
    }

    async fn run(&self, steps: &[Step], params: &Params, stubs: &mut Stubbed) -> Result<(), (usize, StepError)> {
        for (at, step) in steps.iter().enumerate() {
            self.step(step, params, stubs).await.map_err(|cause| (at + 1, cause))?;
        }
        Ok(())
    }

    async fn step(&self, step: &Step, params: &Params, stubs: &mut Stubbed) -> Result<(), StepError> {
        match step {
            Step::Sql { sql, bind } => {
                let values: Vec<Value> = bind
                    .iter()
                    .map(|name| params.get(name).cloned().unwrap_or_default())
                    .collect();
                let database = self.doers.sql.as_ref().ok_or(StepError::NoDoer("sql"))?;
                database.execute(sql, &values).await
            }
            Step::Http(call) => {
                let http = self.doers.http.as_ref().ok_or(StepError::NoDoer("http"))?;
                http.call(&filled_call(call, params)).await
            }
            Step::Amqp(message) => {
                let amqp = self.doers.amqp.as_ref().ok_or(StepError::NoDoer("amqp"))?;
                amqp.publish(&filled_message(message, params)).await
            }
            Step::Stub {
                provider,
                state,
                params: given,
            } => {
                let given = given.iter().map(|(name, value)| (name.clone(), filled(value, params)));
                let mut wanted = ProviderState::default(state);
                wanted.params.extend(given);
                stubs.entry(provider.clone()).or_default().push(wanted);
                Ok(())
            }
        }
    }
}

type Stubbed = BTreeMap<String, Vec<ProviderState>>;

#[async_trait]
impl ProviderStates for Executor {
    async fn set_up(&self, states: &[ProviderState]) -> Result<Values, StateFailure> {
        self.fresh().await.map_err(|cause| StateFailure {
            what: format!("make the data fresh: {}", text(&cause)),
            help: None,
        })?;
        let mut values = Values::new();
        let mut stubs = Stubbed::new();
        for wanted in states {
            let (state, params) = self.find(wanted)?;
            let done = self.run(&state.steps, &params, &mut stubs).await;
            done.map_err(|(at, cause)| self.failed(wanted, at, &cause))?;
            let returned = state.returns.iter().filter_map(|name| params.get_key_value(name));
            values.extend(returned.map(|(name, value)| (name.clone(), value.clone())));
        }
        if !stubs.is_empty() {
            let set = match &self.doers.stubs {
                Some(doer) => doer.set(stubs).await,
                None => Err(StepError::NoDoer("stub")),
            };
            set.map_err(|cause| StateFailure {
                what: format!("tell the neighbours' stubs: {}", text(&cause)),
                help: None,
            })?;
        }
        Ok(values)
    }

    async fn tear_down(&self, states: &[ProviderState]) -> Result<(), StateFailure> {
        for wanted in states.iter().rev() {
            let (state, params) = self.find(wanted)?;
            let done = self.run(&state.teardown, &params, &mut Stubbed::new()).await;
            done.map_err(|(at, cause)| self.failed(wanted, at, &cause))?;
        }
        Ok(())
    }
}

impl Executor {
    fn failed(&self, wanted: &ProviderState, at: usize, cause: &StepError) -> StateFailure {
        StateFailure {
            what: format!(
                "set `{}`, step {at} in {}: {}",
                wanted.name,
                self.declared.origin,
                text(cause)
            ),
            help: cause.help(),
        }
    }
}

/// `the nearest is ...; known states: ...`.
fn known<'a>(kind: &str, wanted: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let nearest = names
        .iter()
        .max_by(|one, other| {
            let like = |name: &str| strsim::normalized_damerau_levenshtein(name, wanted);
            like(one).total_cmp(&like(other))
        })
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default();
    if names.is_empty() {
        return format!("it knows no {kind}");
    }
    format!("{nearest}known {kind}s: {}", names.join(", "))
}
