//! api-gateway asks auth whose token it was given.

use api_gateway::auth::{Auth, User};
use devctl_pact::grpc::mock::Interaction;
use phoenix_contracts::Pair;
use serde_json::json;

use crate::grpc::{LIMITS, like, promise, uuid};
use crate::sample::{EMAIL, EXPIRED, TOKEN, USER};

const PAIR: Pair = Pair {
    consumer: "api-gateway",
    provider: "auth",
};

async fn introspect(description: &str, token: &str, build: impl FnOnce(Interaction) -> Interaction) -> Option<User> {
    let promised = promise(PAIR, "auth/v1/tokens.proto", description, |call| {
        build(call.call("auth.v1.Tokens/Introspect").request(json!({"token": token})))
    })
    .await;
    let user = Auth::new(&promised.url(), LIMITS)
        .unwrap()
        .introspect(token)
        .await
        .unwrap();
    promised.kept().await;
    user
}

#[tokio::test]
async fn a_good_token_is_somebodys() {
    let user = introspect("whose token it is", TOKEN, |call| {
        call.given_with("a user is signed in", json!({"user_id": USER, "token": TOKEN}))
            .answer(json!({
                "active": true,
                "user_id": uuid(USER),
                "email": like(EMAIL),
                "display_name": like("Ada"),
            }))
    });
    let user = user.await.unwrap();
    assert_eq!(
        (user.id.as_str(), user.email.as_str(), user.display_name.as_str()),
        (USER, EMAIL, "Ada")
    );
}

#[tokio::test]
async fn a_token_that_has_expired_is_nobodys() {
    let user = introspect("whose token it was", EXPIRED, |call| {
        call.given_with("a token has expired", json!({"token": EXPIRED}))
            .answer(json!({"active": false}))
    });
    assert_eq!(user.await, None);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_nobodys() {
    let user = introspect(
        "whose token it was before it was revoked",
        "phx_revoked-token",
        |call| {
            call.given_with("a token was revoked", json!({"token": "phx_revoked-token"}))
                .answer(json!({"active": false}))
        },
    );
    assert_eq!(user.await, None);
}

#[tokio::test]
async fn a_token_that_nobody_gave_out_is_nobodys() {
    let user = introspect("whose token an invented one is", "phx_invented", |call| {
        call.given("nobody is registered").answer(json!({"active": false}))
    });
    assert_eq!(user.await, None);
}
