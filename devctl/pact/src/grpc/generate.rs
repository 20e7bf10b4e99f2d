//! Values that an interaction makes anew each time, in a message's JSON.

use std::collections::HashMap;

use bytes::Bytes;
use pact_matching::generators::DefaultVariantMatcher;
use pact_matching::generators::bodies::generators_process_body;
use pact_models::bodies::OptionalBody;
use pact_models::content_types::JSON;
use pact_models::generators::{Generator, GeneratorTestMode};
use pact_models::path_exp::DocPath;
use serde_json::Value;

/// `json` with the values of those generators that apply in this mode.
pub(super) async fn generated(
    json: &Value,
    generators: &HashMap<DocPath, Generator>,
    mode: GeneratorTestMode,
    context: &HashMap<&str, Value>,
) -> Result<Value, String> {
    let body = OptionalBody::Present(Bytes::from(json.to_string()), Some(JSON.clone()), None);
    let made = generators_process_body(
        &mode,
        &body,
        Some(JSON.clone()),
        context,
        generators,
        &DefaultVariantMatcher,
        &Vec::new(),
        &HashMap::new(),
    )
    .await
    .map_err(|cause| format!("generate a value: {cause:#}"))?;
    serde_json::from_slice(&made.value().unwrap_or_default()).map_err(|cause| format!("generate a value: {cause}"))
}
