//! HTTP steps: calls to the provider's own port.

use async_trait::async_trait;
use url::Url;

use super::file::Call;
use super::steps::{HttpSteps, StepError};
use crate::difference::short;

/// Calls below one address.
#[derive(Debug, Clone)]
pub struct HttpCaller {
    client: reqwest::Client,
    base: Url,
}

impl HttpCaller {
    /// Calls at `base`.
    ///
    /// # Errors
    ///
    /// Where the HTTP client cannot be made.
    pub fn new(base: Url) -> Result<Self, reqwest::Error> {
        // Without a provider the client would panic. One that a `main` chose before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(10))
            .build()?;
        Ok(Self { client, base })
    }
}

#[async_trait]
impl HttpSteps for HttpCaller {
    async fn call(&self, call: &Call) -> Result<(), StepError> {
        let operation = format!("{} {}", call.method, call.path);
        let method = call.method.parse::<http::Method>();
        let method = method.map_err(|_| StepError::Other(format!("`{}` is no HTTP method", call.method)))?;
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), call.path);
        let mut request = self.client.request(method, url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let failed = |cause: reqwest::Error| StepError::Http {
            operation: operation.clone(),
            cause: cause.without_url(),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let right = match call.expect {
            Some(expected) => status.as_u16() == expected,
            None => status.is_success(),
        };
        if right {
            return Ok(());
        }
        let body = response.text().await.unwrap_or_default();
        Err(StepError::Status {
            expected: call
                .expect
                .map_or_else(|| "2xx".to_owned(), |expected| expected.to_string()),
            status: status.as_u16(),
            body: short(&body),
            operation,
        })
    }
}
