//! notification welcomes whom auth has registered.

use notification::mail;
use pact_consumer::prelude::*;
use phoenix_contracts::{EMAIL as ADDRESS, Pair, UUID};

use crate::sample::{EMAIL, USER};
use crate::support::{properties, received, user};

const PAIR: Pair = Pair {
    consumer: "notification",
    provider: "auth",
};

#[test]
fn a_new_user_is_welcomed() {
    PAIR.message(
        "a user has registered",
        &properties("auth", "user.registered"),
        |message| {
            message.given("nobody is registered").json_body(json_pattern!({
                "user_id": term!(UUID, USER),
                "email": term!(ADDRESS, EMAIL),
                "display_name": like!("Ada"),
            }));
        },
        |message| {
            let event = received(message, &notification::subscription());
            let mail = mail::compose(&event.kind, &event.body).unwrap().unwrap();
            assert_eq!((mail.user_id, mail.recipient.as_str()), (user(), EMAIL));
            assert_eq!(mail.subject, "Welcome, Ada");
        },
    );
}
