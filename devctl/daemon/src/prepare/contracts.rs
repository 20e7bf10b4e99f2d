//! When the contracts of a service are verified while it runs, and what is said where somebody waits for that in vain.

use std::collections::HashMap;

use devctl_compose::model::{Project, Service, VerifyWhen};
use devctl_core::NodeId;
use devctl_core::plan::Verify;
use devctl_wire::v1;

use crate::command::Remark;
use crate::specify::Choice;

/// When the contracts in which the service is the provider are verified.
pub(super) fn verify(project: &Project, service: &Service, choice: &Choice, asked: v1::VerifyWhen) -> Verify {
    match why_never(project, service, choice, asked) {
        Some(_) => Verify::Never,
        None => when(project, service, asked),
    }
}

/// Whether the tests that write its contracts as a consumer are run when it is reloaded.
pub(super) fn tests(project: &Project, service: &Service, choice: &Choice, asked: v1::VerifyWhen) -> bool {
    let declared = service
        .x_devctl
        .contracts
        .as_ref()
        .and_then(|contracts| contracts.tests.as_ref());
    declared.is_some() && runs_code(choice) && when(project, service, asked) != Verify::Never
}

/// What was asked for, else what the service says, else what the project says.
fn when(project: &Project, service: &Service, asked: v1::VerifyWhen) -> Verify {
    let of_service = service
        .x_devctl
        .contracts
        .as_ref()
        .and_then(|contracts| contracts.verify);
    let of_project = || {
        project
            .x_devctl
            .contracts
            .as_ref()
            .and_then(|contracts| contracts.verify)
    };
    match asked {
        v1::VerifyWhen::Always => Verify::Always,
        v1::VerifyWhen::Save => Verify::Save,
        v1::VerifyWhen::Never => Verify::Never,
        v1::VerifyWhen::AsWritten => match of_service.or_else(of_project) {
            None | Some(VerifyWhen::Always) => Verify::Always,
            Some(VerifyWhen::Save) => Verify::Save,
            Some(VerifyWhen::Never) => Verify::Never,
        },
    }
}

fn runs_code(choice: &Choice) -> bool {
    matches!(choice, Choice::Process | Choice::Container)
}

/// Why there is nothing to verify, for people.
fn why_never(project: &Project, service: &Service, choice: &Choice, asked: v1::VerifyWhen) -> Option<&'static str> {
    let has_pacts = project
        .x_devctl
        .contracts
        .as_ref()
        .is_some_and(|contracts| !contracts.pacts.is_empty());
    match choice {
        Choice::Stub => Some("it is answered from contracts"),
        Choice::External(_) => Some("it runs elsewhere"),
        Choice::Postgres(_) | Choice::RabbitMq { .. } | Choice::Impossible { .. } => {
            Some("it is no service of this project")
        }
        Choice::Process | Choice::Container if !has_pacts => {
            Some("the project names no pacts (`x-devctl.contracts.pacts`)")
        }
        _ if when(project, service, asked) == Verify::Never => Some("verification is turned off"),
        Choice::Process | Choice::Container => None,
    }
}

/// Tells whoever waits for contracts that are never verified that it does not wait.
pub(super) fn not_waited_for(
    project: &Project,
    choices: &HashMap<String, Choice>,
    asked: v1::VerifyWhen,
    remarks: &mut Vec<Remark>,
) {
    for service in project.services.values() {
        for provider in service.x_devctl.depends_on.keys() {
            let why = match project.services.get(provider).zip(choices.get(provider)) {
                Some((other, choice)) => why_never(project, other, choice, asked),
                None => Some("it is only there with a profile"),
            };
            let Some(why) = why else { continue };
            remarks.push(Remark {
                node: Some(NodeId::from(service.name.as_str())),
                text: format!("does not wait until the contracts of {provider} are verified: {why}"),
                help: None,
            });
        }
    }
}
