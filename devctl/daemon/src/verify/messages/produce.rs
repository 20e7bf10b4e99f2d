//! The provider's side of messages: state, drain, trigger, then whatever was really published is held against the promise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_pact::grpc::Proto;
use devctl_pact::grpc::client::Client;
use devctl_pact::grpc::proto::PLUGIN;
use devctl_pact::index::{Contract, Index, Interaction, Kind};
use devctl_pact::message;
use devctl_pact::states::file::{Declared, GrpcCall, Trigger};
use devctl_pact::states::steps::Doers;
use devctl_pact::verify::{Outcome, ProviderStates, Verdict, Why, reference};

use uuid::Uuid;

use super::broker;
use super::bus::{Bus, BusError, Tap};

/// After a message that does not keep the promise, another one is waited for no longer than this.
const QUIET: Duration = Duration::from_millis(700);

/// What a provider's messages are verified with.
pub(in crate::verify) struct Producer<'a> {
    pub(in crate::verify) bus: &'a Bus,
    pub(in crate::verify) declared: &'a Declared,
    pub(in crate::verify) doers: &'a Doers,
    pub(in crate::verify) states: &'a dyn ProviderStates,
    pub(in crate::verify) index: &'a Index,
    /// Where gRPC triggers go.
    pub(in crate::verify) grpc: Option<String>,
    /// A message that takes longer was not published.
    pub(in crate::verify) within: Duration,
    /// What was published is judged by Pact's own verifier.
    pub(in crate::verify) reference: bool,
}

/// What made the provider publish, as reports show it: the call, and what it carried.
fn shown(trigger: &Trigger) -> (String, String) {
    match trigger {
        Trigger::Http(call) => {
            let body = call.body.as_ref().map(ToString::to_string);
            (format!("{} {}", call.method, call.path), body.unwrap_or_default())
        }
        Trigger::Grpc(call) => (call.method.clone(), call.message.to_string()),
        Trigger::Sql(sql) => ("SQL".to_owned(), sql.clone()),
    }
}

impl Producer<'_> {
    /// Verifies one promise.
    pub(in crate::verify) async fn verify(&self, contract: &Arc<Contract>, interaction: &Arc<Interaction>) -> Outcome {
        let began = Instant::now();
        let failed = |verdict| Outcome::new(contract, interaction, verdict, began.elapsed());
        let rules = self.declared.messages.get(&interaction.description);
        let Some(trigger) = rules.and_then(|rules| rules.trigger.as_ref()) else {
            let why = Why::State {
                what: format!(
                    "{} does not say what makes it publish `{}`",
                    self.declared.origin, interaction.description
                ),
                help: Some(format!(
                    "declare it there: `messages: {{{}: {{trigger: {{http: ...}}}}}}` (or `grpc`, `sql`)",
                    interaction.description
                )),
            };
            return failed(Verdict::CouldNotRun { why });
        };
        let mut tap = match self.listen(interaction).await {
            Ok(tap) => tap,
            Err(error) => return failed(broker(error)),
        };
        if let Err(failure) = self.states.set_up(&interaction.states).await {
            let why = Why::State {
                what: failure.what,
                help: failure.help,
            };
            return failed(Verdict::CouldNotRun { why });
        }
        // What the states made it publish is not what the trigger does.
        if let Err(error) = tap.drain().await {
            return failed(broker(error));
        }
        let trace = Uuid::new_v4().simple().to_string();
        let pulled = self.pull(trigger, &trace).await;
        let mut outcome = match pulled {
            Ok(()) => self.hear(&mut tap, contract, interaction, began).await,
            Err(cause) => {
                let why = Why::Trigger { cause };
                failed(Verdict::CouldNotRun { why })
            }
        };
        if outcome.verdict != Verdict::Passed {
            let exchange = outcome.exchange.get_or_insert_default();
            (exchange.request, exchange.request_body) = shown(trigger);
        }
        outcome.trace.get_or_insert(trace);
        let torn_down = self.states.tear_down(&interaction.states).await;
        match (&outcome.verdict, torn_down) {
            (Verdict::Passed, Err(failure)) => {
                let why = Why::State {
                    what: failure.what,
                    help: failure.help,
                };
                failed(Verdict::CouldNotRun { why })
            }
            _ => outcome,
        }
    }

    async fn listen(&self, interaction: &Interaction) -> Result<Tap, BusError> {
        let promised = match &interaction.kind {
            Kind::Message(message) => message.contents.metadata.iter().find_map(|(key, value)| {
                let plain = key.replace(['-', '_'], "").to_lowercase();
                (plain == "routingkey").then(|| value.as_str().unwrap_or_default().to_owned())
            }),
            _ => None,
        };
        let mut tap = self.bus.tap().await?;
        self.bus.bind(&mut tap, &promised.unwrap_or_default()).await?;
        Ok(tap)
    }

    /// Hears what is published until something keeps the promise, or nothing comes any more.
    async fn hear(
        &self,
        tap: &mut Tap,
        contract: &Arc<Contract>,
        interaction: &Arc<Interaction>,
        began: Instant,
    ) -> Outcome {
        let deadline = Instant::now() + self.within;
        let mut heard = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if heard.is_empty() { left } else { left.min(QUIET) };
            match tokio::time::timeout(wait, tap.next()).await {
                Ok(Some(delivery)) => heard.push(delivery),
                Ok(None) => {
                    let verdict = broker("it went away while the message was waited for");
                    return Outcome::new(contract, interaction, verdict, began.elapsed());
                }
                Err(_) => break,
            }
            let judged = message::nearest(contract, interaction, &heard).await;
            if judged.is_ok_and(|judged| judged.differences.is_empty()) {
                break;
            }
        }
        let took = began.elapsed();
        let mut outcome = message::outcome(contract, interaction, &heard, took).await;
        if heard.is_empty() {
            message::waited(&mut outcome, self.within);
        } else if self.reference {
            outcome.verdict = reference::verify_message(contract, interaction, &heard, took)
                .await
                .verdict;
        }
        outcome
    }

    /// Makes the provider publish. Its calls carry the `trace`, so that what it logs of them is found.
    async fn pull(&self, trigger: &Trigger, trace: &str) -> Result<(), String> {
        let parent = || ("traceparent".to_owned(), format!("00-{trace}-{}-01", &trace[..16]));
        let missing = |what: &str| format!("the provider was started without anything to do `{what}` on");
        match trigger {
            Trigger::Http(call) => {
                let http = self.doers.http.as_ref().ok_or_else(|| missing("http"))?;
                let mut call = call.clone();
                call.headers.extend([parent()]);
                http.call(&call).await.map_err(|error| crate::start::told(&error))
            }
            Trigger::Sql(sql) => {
                let database = self.doers.sql.as_ref().ok_or_else(|| missing("sql"))?;
                database
                    .execute(sql, &[])
                    .await
                    .map_err(|error| crate::start::told(&error))
            }
            Trigger::Grpc(call) => {
                let mut call = call.clone();
                call.metadata.extend([parent()]);
                self.call(&call, self.grpc.as_ref().ok_or_else(|| missing("grpc"))?)
                    .await
            }
        }
    }

    async fn call(&self, call: &GrpcCall, address: &str) -> Result<(), String> {
        let proto = self.proto(&call.method)?;
        let metadata: Vec<(String, String)> = call.metadata.clone().into_iter().collect();
        let client = Client::new(address);
        let answered = client.call_json(&proto, &call.method, &metadata, &call.message, self.within);
        answered.await.map(drop)
    }

    /// Descriptors of a method: some pact that promises a call of the same service carries them.
    fn proto(&self, method: &str) -> Result<Proto, String> {
        for contract in self.index.contracts() {
            let protobuf = contract.plugins.iter().filter(|plugin| plugin.name == PLUGIN);
            for key in protobuf.flat_map(|plugin| plugin.configuration.keys()) {
                if let Ok(proto) = Proto::from_pact(&contract.plugins, key)
                    && proto.method(method).is_ok()
                {
                    return Ok(proto);
                }
            }
        }
        Err(format!("no pact has descriptors of `{method}`"))
    }
}
