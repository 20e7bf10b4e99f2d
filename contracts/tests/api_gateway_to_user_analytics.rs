//! api-gateway asks user-analytics what a user did.

use std::time::Duration;

use api_gateway::analytics::Analytics;
use api_gateway::guard::Limits;
use api_gateway::upstream::UpstreamError;
use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, Pair, TIME, UUID, problem};
use serde_json::json;

use crate::sample::{EVENT, LIMIT, MOMENT, USER};

const PAIR: Pair = Pair {
    consumer: "api-gateway",
    provider: "user-analytics",
};

fn ask(
    description: &str,
    path: &str,
    build: impl FnOnce(&mut InteractionBuilder),
) -> (Analytics, Box<dyn ValidatingMockServer>) {
    let server = PAIR.promise(description, |interaction| {
        interaction.request.get().path(path);
        build(interaction);
    });
    let limits = Limits {
        timeout: LIMIT,
        concurrency: 1,
        failures: 1,
        open_for: Duration::from_secs(1),
    };
    (Analytics::new(server.url().as_str(), limits).unwrap(), server)
}

fn has_paid(interaction: &mut InteractionBuilder) {
    let params = json!({"user_id": USER, "currency": "EUR", "minor_units": "4200"});
    interaction.given_with_params("the user has paid an invoice", &params);
}

fn ok(interaction: &mut InteractionBuilder, body: JsonPattern) {
    interaction
        .response
        .ok()
        .header("content-type", "application/json")
        .json_body(body);
}

fn activity_path() -> String {
    format!("/v1/users/{USER}/activity")
}

fn summary_path() -> String {
    format!("/v1/users/{USER}/summary")
}

#[tokio::test]
async fn the_newest_that_a_user_did() {
    let (analytics, _server) = ask("the activity of a user", &activity_path(), |interaction| {
        has_paid(interaction);
        interaction.request.query_param("limit", term!("^[0-9]+$", "20"));
        let event = json_pattern!({
            "id": term!(UUID, EVENT),
            "type": like!("invoice.paid"),
            "occurred_at": term!(TIME, MOMENT),
        });
        ok(interaction, json_pattern!({"items": EachLike::new(event)}));
    });
    let activity = analytics.activity(USER, 20).await.unwrap();
    assert_eq!(
        (activity.items.len(), activity.items[0].kind.as_str()),
        (1, "invoice.paid")
    );
}

#[tokio::test]
async fn no_more_than_were_asked_for() {
    let (analytics, _server) = ask("the last thing that a user did", &activity_path(), |interaction| {
        has_paid(interaction);
        interaction.request.query_param("limit", "1");
        ok(
            interaction,
            json_pattern!({"items": [{
                "id": term!(UUID, EVENT),
                "type": "invoice.paid",
                "occurred_at": term!(TIME, MOMENT),
            }]}),
        );
    });
    assert_eq!(analytics.activity(USER, 1).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn nothing_of_a_user_who_did_nothing() {
    let (analytics, _server) = ask("the activity of an unknown user", &activity_path(), |interaction| {
        interaction.given("nothing is known of the user");
        interaction.request.query_param("limit", "20");
        ok(interaction, json_pattern!({"items": []}));
    });
    assert!(analytics.activity(USER, 20).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn counts_over_all_that_a_user_did() {
    let (analytics, _server) = ask("the summary of a user", &summary_path(), |interaction| {
        has_paid(interaction);
        ok(
            interaction,
            json_pattern!({
                "events": {"invoice.paid": like!(1), "user.registered": like!(1)},
                "spent": each_like!({"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)}),
                "first_seen_at": term!(TIME, MOMENT),
                "last_seen_at": term!(TIME, MOMENT),
            }),
        );
    });
    let summary = analytics.summary(USER).await.unwrap();
    assert_eq!(
        (summary.events["invoice.paid"], summary.spent[0].minor_units),
        (1, 4200)
    );
    assert!(summary.first_seen_at.is_some());
}

#[tokio::test]
async fn a_user_of_whom_nothing_is_known_counts_nothing() {
    let (analytics, _server) = ask("the summary of an unknown user", &summary_path(), |interaction| {
        interaction.given("nothing is known of the user");
        ok(
            interaction,
            json_pattern!({"events": {}, "spent": [], "first_seen_at": null, "last_seen_at": null}),
        );
    });
    let summary = analytics.summary(USER).await.unwrap();
    assert!(summary.events.is_empty() && summary.spent.is_empty() && summary.last_seen_at.is_none());
}

#[tokio::test]
async fn nonsense_for_an_id_is_refused_in_words() {
    let (analytics, _server) = ask("the summary of nobody", "/v1/users/ada/summary", |interaction| {
        problem(
            &mut interaction.response,
            400,
            "Bad Request",
            "the user's id is not a UUID",
        );
    });
    let error = analytics.summary("ada").await.unwrap_err();
    let UpstreamError::Http { source, .. } = &error else {
        unreachable!("{error}")
    };
    assert!(source.to_string().ends_with("the user's id is not a UUID"), "{source}");
}
