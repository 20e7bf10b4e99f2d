//! user-analytics counts whom auth has registered.

use pact_consumer::prelude::*;
use phoenix_contracts::{Pair, UUID};
use user_analytics::events;

use crate::sample::USER;
use crate::support::{properties, received, user};

const PAIR: Pair = Pair {
    consumer: "user-analytics",
    provider: "auth",
};

#[test]
fn a_registration_is_the_first_thing_that_a_user_did() {
    PAIR.message(
        "a user has registered",
        &properties("auth", "user.registered"),
        |message| {
            message
                .given("nobody is registered")
                .json_body(json_pattern!({"user_id": term!(UUID, USER)}));
        },
        |message| {
            let event = received(message, &user_analytics::subscription());
            assert_eq!(event.source, "auth");
            let counted = events::read(&event.kind, &event.body).unwrap();
            assert_eq!((counted.user_id, counted.spent), (Some(user()), None));
        },
    );
}
