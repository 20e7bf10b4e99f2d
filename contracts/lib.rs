//! What the consumer tests share: who promises what to whom, where the pacts are written, and the patterns of values that all
//! of Phoenix's interfaces have in common.
//!
//! Each interaction has a mock server of its own, which adds it to the pair's pact once the consumer's client has asked it what
//! was agreed. The pacts go to `PACT_OUTPUT_DIR`; `devctl contracts drift` sets it and compares what comes with `pacts/`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use pact_consumer::builders::{
    HttpPartBuilder as _, InteractionBuilder, MessageInteractionBuilder, PactBuilder, ResponseBuilder,
};
use pact_consumer::mock_server::{StartMockServer as _, ValidatingMockServer};
use pact_consumer::{json_pattern, json_pattern_internal, like};
use pact_models::matchingrules::{MatchingRule, RuleLogic};
use pact_models::path_exp::DocPath;
use pact_models::v4::async_message::AsynchronousMessage;

/// A UUID in lower case.
pub const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
/// RFC 3339 in UTC with milliseconds, as every service writes it.
pub const TIME: &str = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$";
/// ISO 4217.
pub const CURRENCY: &str = "^[A-Z]{3}$";
/// Loose: what an address is, its owner's mail server decides.
pub const EMAIL: &str = r"^[^@\s]+@[^@\s]+$";

/// Two services, one of which relies on the other.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Who relies.
    pub consumer: &'static str,
    /// On whom.
    pub provider: &'static str,
}

impl Pair {
    /// A mock of the provider that knows one exchange. It must be asked before it is dropped, and is then part of the pact.
    pub fn promise(
        self,
        description: &str,
        build: impl FnOnce(&mut InteractionBuilder),
    ) -> Box<dyn ValidatingMockServer> {
        self.pact()
            .interaction(description, "", |mut interaction| {
                build(&mut interaction);
                interaction
            })
            .start_mock_server(None, None)
    }

    /// A message as the provider promises to publish it. It is part of the pact once `receive` has taken it.
    pub fn message(
        self,
        description: &str,
        metadata: &[(&str, Metadata)],
        build: impl FnOnce(&mut MessageInteractionBuilder),
        receive: impl Fn(&AsynchronousMessage),
    ) {
        let mut interaction = MessageInteractionBuilder::new(description);
        build(&mut interaction);
        let mut message = interaction.build();
        for (key, value) in metadata {
            let (example, rule) = value.parts();
            message.contents.metadata.insert((*key).to_owned(), example);
            if let Some(rule) = rule {
                let rules = message.contents.matching_rules.add_category("metadata");
                rules.add_rule(DocPath::root().join(*key), rule, RuleLogic::And);
            }
        }
        let mut pact = self.pact();
        pact.push_interaction(&message);
        // Dropping the iterator writes the pact, unless `receive` panicked.
        for message in pact.messages() {
            receive(&message);
        }
    }

    fn pact(self) -> PactBuilder {
        let mut pact = PactBuilder::new_v4(self.consumer, self.provider);
        pact.with_output_dir(output());
        pact
    }
}

/// What a consumer expects of one of a message's properties.
#[derive(Debug, Clone, Copy)]
pub enum Metadata {
    /// This very value.
    Exactly(&'static str),
    /// A text that the expression matches, such as the example.
    Like(&'static str, &'static str),
    /// A whole number, such as the example.
    Number(i64),
}

impl Metadata {
    fn parts(self) -> (serde_json::Value, Option<MatchingRule>) {
        match self {
            Self::Exactly(value) => (value.into(), None),
            Self::Like(regex, example) => (example.into(), Some(MatchingRule::Regex(regex.to_owned()))),
            Self::Number(example) => (example.into(), Some(MatchingRule::Integer)),
        }
    }
}

/// An answer of RFC 9457; its words are for a person, so any will do.
pub fn problem(response: &mut ResponseBuilder, status: u16, title: &str, detail: &str) {
    response
        .status(status)
        .header("content-type", "application/problem+json")
        .json_body(json_pattern!({"status": status, "title": title, "detail": like!(detail)}));
}

/// Where pacts go: `PACT_OUTPUT_DIR`, or a folder of the build's that begins empty.
///
/// # Panics
///
/// Where pact_consumer would report its use to its makers, or there is no folder to write to.
pub fn output() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        assert_eq!(
            env::var("PACT_DO_NOT_TRACK").as_deref(),
            Ok("true"),
            "set PACT_DO_NOT_TRACK=true, as `cargo test` does here"
        );
        env::var_os("PACT_OUTPUT_DIR").map_or_else(own_folder, PathBuf::from)
    });
    &FOLDER
}

fn own_folder() -> PathBuf {
    let folder = Path::new(env!("OUT_DIR")).join("pacts");
    // What an older run left would be merged with what is written now; the first run finds none.
    let _ = fs::remove_dir_all(&folder);
    folder
}
