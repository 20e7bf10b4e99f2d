//! Every provider state that a pact names is declared, with its parameters; what a state has a neighbour's stub answer, the
//! contract with that neighbour knows; every message has its trigger where it is published, and its check where it is received.

use std::collections::BTreeMap;

use devctl_pact::index::{Contract, Kind};
use devctl_pact::states::file::{Declared, Step, parse};

const SERVICES: [&str; 6] = [
    "api-gateway",
    "auth",
    "billing",
    "mobile-bff",
    "notification",
    "user-analytics",
];

fn declared() -> BTreeMap<&'static str, Declared> {
    let read = |service| {
        let file = format!("fixtures/data/{service}/states.yaml");
        (service, parse(&file, &super::read(&file)).unwrap())
    };
    SERVICES.into_iter().map(read).collect()
}

#[test]
fn every_state_of_a_pact_is_declared_with_its_parameters() {
    let declared = declared();
    let mut checked = 0;
    for pact in super::pacts() {
        let Some(file) = declared.get(pact.provider.as_str()) else {
            continue;
        };
        for interaction in &pact.interactions {
            for state in &interaction.states {
                let place = format!("{}: `{}` wants `{}`", pact.pair(), interaction.description, state.name);
                let known = file.states.get(&state.name).unwrap_or_else(|| {
                    unreachable!("{place}, which `{}` does not declare", file.origin);
                });
                for param in state.params.keys() {
                    assert!(known.params.contains_key(param), "{place} with `{param}`");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn every_state_that_is_declared_is_named_by_a_pact_or_kept_for_a_reason() {
    // For tests by hand and for consumers to come.
    const KEPT: [(&str, &str); 5] = [
        ("auth", "a user is registered"),
        ("billing", "a webhook endpoint is registered"),
        ("notification", "a mail was sent"),
        ("notification", "nothing was sent"),
        ("notification", "the email provider takes mail"),
    ];
    let pacts = super::pacts();
    for (service, file) in declared() {
        for state in file.states.keys() {
            let named = pacts
                .iter()
                .filter(|pact| pact.provider == service)
                .flat_map(|pact| &pact.interactions)
                .any(|interaction| interaction.states.iter().any(|wanted| &wanted.name == state));
            let kept = KEPT.contains(&(service, state.as_str()));
            assert_ne!(named, kept, "`{state}` of {service}");
        }
    }
}

#[test]
fn what_a_stub_is_told_its_contract_knows() {
    let pacts = super::pacts();
    let knows = |consumer: &str, provider: &str, state: &str| {
        let between = |pact: &&Contract| pact.consumer == consumer && pact.provider == provider;
        let mut interactions = pacts.iter().filter(between).flat_map(|pact| &pact.interactions);
        interactions.any(|interaction| interaction.states.iter().any(|known| known.name == state))
    };
    for (service, file) in declared() {
        for (name, declared) in &file.states {
            for step in &declared.steps {
                if let Step::Stub { provider, state, .. } = step {
                    assert!(
                        knows(service, provider, state),
                        "`{name}` of {service}: no pact with {provider} names `{state}`"
                    );
                }
            }
        }
    }
}

#[test]
fn every_message_has_a_trigger_and_a_check() {
    let declared = declared();
    let mut checked = 0;
    for pact in super::pacts() {
        for interaction in &pact.interactions {
            if !matches!(interaction.kind, Kind::Message(_)) {
                continue;
            }
            let rules = |service: &str| declared[service].messages.get(&interaction.description);
            let place = format!("{}: `{}`", pact.pair(), interaction.description);
            assert!(
                rules(&pact.provider).is_some_and(|rules| rules.trigger.is_some()),
                "{place}"
            );
            assert!(
                rules(&pact.consumer).is_some_and(|rules| rules.expect.is_some()),
                "{place}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked}");
}
