//! What each consumer expects of each provider, said by the consumer's own client.
//!
//! A module is a pair, `CONSUMER_to_PROVIDER` for calls and `CONSUMER_from_PROVIDER` for messages: `compose/compose.yaml` runs one
//! consumer's by the beginning of these names. `documents` holds the pacts and the API documents against what they speak of.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod api_gateway_to_auth;
mod api_gateway_to_billing;
mod api_gateway_to_user_analytics;
mod billing_to_payments_provider;
mod billing_to_webhook_subscriber;
mod documents;
mod grpc;
mod mobile_app;
mod mobile_app_to_mobile_bff;
mod mobile_bff_to_api_gateway;
mod notification_from_auth;
mod notification_from_billing;
mod notification_to_email_provider;
mod sample;
mod support;
mod user_analytics_from_auth;
mod user_analytics_from_billing;
