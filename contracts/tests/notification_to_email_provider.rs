//! notification sends mail through the email provider.

use notification::email::{Accepted, Email, EmailError, Outgoing};
use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{EMAIL as ADDRESS, Pair, UUID, problem};
use serde_json::json;

use crate::sample::{EMAIL, LIMIT};

const PAIR: Pair = Pair {
    consumer: "notification",
    provider: "email-provider",
};
const MAIL: &str = "0190a000-0000-7000-8000-0000000000b1";
const SUBJECT: &str = "Welcome, Ada";
const TEXT: &str = "Hello Ada,\n\nyour account is ready.\n";

async fn send(description: &str, build: impl FnOnce(&mut InteractionBuilder)) -> Result<Accepted, EmailError> {
    let server = PAIR.promise(description, |interaction| {
        interaction
            .request
            .post()
            .path("/v1/messages")
            .header("content-type", "application/json")
            .header("idempotency-key", term!(UUID, MAIL))
            .json_body(json_pattern!({
                "to": term!(ADDRESS, EMAIL),
                "subject": like!(SUBJECT),
                "text": like!(TEXT),
            }));
        build(interaction);
    });
    let mail = Outgoing {
        to: EMAIL.to_owned(),
        subject: SUBJECT.to_owned(),
        text: TEXT.to_owned(),
    };
    let email = Email::new(server.url().as_str(), LIMIT).unwrap();
    email.send(MAIL.parse().unwrap(), &mail).await
}

#[tokio::test]
async fn a_mail_is_taken() {
    let taken = send("a message", |interaction| {
        interaction.given("messages are taken");
        interaction
            .response
            .status(202)
            .header("content-type", "application/json")
            .json_body(json_pattern!({"id": like!("msg_1")}));
    });
    assert_eq!(taken.await.unwrap().id, "msg_1");
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_first_mail() {
    let taken = send("the same message again", |interaction| {
        interaction.given_with_params(
            "the message was taken before",
            &json!({"key": MAIL, "message_id": "msg_1"}),
        );
        interaction
            .response
            .status(202)
            .header("content-type", "application/json")
            .json_body(json_pattern!({"id": "msg_1"}));
    });
    assert_eq!(taken.await.unwrap().id, "msg_1");
}

#[tokio::test]
async fn a_mail_to_nobody_is_refused_for_good() {
    let refused = send("a message to an address that does not exist", |interaction| {
        interaction.given("the recipient is unknown");
        problem(
            &mut interaction.response,
            422,
            "Unprocessable Entity",
            "no such mailbox",
        );
    });
    let refused = refused.await.unwrap_err();
    assert!(
        matches!(&refused, EmailError::Refused(why) if why == "no such mailbox"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_provider_that_is_down_may_be_asked_again() {
    let refused = send("a message while the provider is down", |interaction| {
        interaction.given("the provider is down");
        interaction.response.status(503);
    });
    let refused = refused.await.unwrap_err();
    assert!(matches!(&refused, EmailError::Unavailable(_)), "{refused}");
}
