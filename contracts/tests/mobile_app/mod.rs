//! The mobile app's GraphQL client: its operations are the documents beside this file.

use std::time::Duration;

use kit::http::{Client, ClientError, Outgoing};
use serde_json::{Value, json};

/// What the app asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// As the document names it.
    pub(crate) name: &'static str,
    /// The document.
    pub(crate) query: &'static str,
}

macro_rules! operation {
    ($name:literal, $file:literal) => {
        Operation {
            name: $name,
            query: include_str!($file),
        }
    };
}

pub(crate) const ME: Operation = operation!("Me", "me.graphql");
pub(crate) const HOME: Operation = operation!("Home", "home.graphql");
pub(crate) const INVOICE: Operation = operation!("Invoice", "invoice.graphql");
pub(crate) const ACTIVITY: Operation = operation!("Activity", "activity.graphql");
pub(crate) const CREATE_INVOICE: Operation = operation!("CreateInvoice", "create-invoice.graphql");
pub(crate) const PAY_INVOICE: Operation = operation!("PayInvoice", "pay-invoice.graphql");

/// mobile-bff as one user of the app sees it.
#[derive(Debug)]
pub(crate) struct App {
    http: Client,
    token: String,
}

/// Why the app shows nothing.
#[derive(Debug)]
pub(crate) enum AppError {
    /// mobile-bff could not be asked, or answered with something that is no GraphQL.
    Failed(ClientError),
    /// The first error's code: what the app does next hangs on it.
    Refused { code: String, message: String },
}

impl App {
    /// The app of whoever holds `token`.
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self {
            http: Client::new(url, Duration::from_secs(5)).unwrap(),
            token: token.to_owned(),
        }
    }

    /// What is sent for an operation.
    pub(crate) fn body(operation: Operation, variables: &Value) -> Value {
        json!({"operationName": operation.name, "query": operation.query, "variables": variables})
    }

    /// Asks, and gives the answer's `data`.
    pub(crate) async fn ask(&self, operation: Operation, variables: Value) -> Result<Value, AppError> {
        let request = Outgoing::post("/v1/graphql", &Self::body(operation, &variables))
            .header("authorization", format!("Bearer {}", self.token));
        let response = self.http.send(request).await.map_err(AppError::Failed)?;
        if !response.status.is_success() {
            return Err(AppError::Failed(response.unexpected(response.status.to_string())));
        }
        let mut answer: Value = response.json().map_err(AppError::Failed)?;
        match answer["errors"].get(0) {
            None => Ok(answer["data"].take()),
            Some(error) => Err(AppError::Refused {
                code: error["extensions"]["code"].as_str().unwrap_or_default().to_owned(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }
}
