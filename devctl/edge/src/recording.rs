//! A provider's recorded answers as a stub: what was asked before is answered as before.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::capture::{Exchange, Outcome, Record, Response as Recorded};
use crate::id::EdgeId;
use crate::stub::{Stub, StubBody};

/// How many of the recorded requests are named to somebody who asks for another one.
const NAMED: usize = 10;

/// Answers by method, path and query. The last answer to a request is the one that is given; an answer that was
/// captured in part, or that the provider did not finish, is not used.
#[derive(Debug, Default)]
pub struct Recording {
    answers: BTreeMap<(String, String), Recorded>,
}

impl Recording {
    /// The answers among `records`.
    pub fn new<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut answers = BTreeMap::new();
        for record in records {
            if let Record::Exchange(exchange) = record
                && let Some(answer) = usable(exchange)
            {
                answers.insert(
                    (exchange.request.method.clone(), exchange.request.uri.clone()),
                    answer.clone(),
                );
            }
        }
        Self { answers }
    }

    /// How many requests it can answer.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is nothing that it can answer.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    fn unknown(&self, edge: &EdgeId, method: &str, uri: &str) -> Response<StubBody> {
        let known: Vec<String> = self
            .answers
            .keys()
            .take(NAMED)
            .map(|(method, uri)| format!("  {method} {uri}\n"))
            .collect();
        let text = format!(
            "{edge}: no answer to {method} {uri} is recorded; recorded are:\n{}",
            known.concat()
        );
        let mut answer = Response::new(StubBody::from(text));
        *answer.status_mut() = StatusCode::NOT_IMPLEMENTED;
        answer
    }
}

fn usable(exchange: &Exchange) -> Option<&Recorded> {
    let answer = exchange.response.as_ref()?;
    (exchange.outcome == Outcome::Done && !answer.body.truncated && answer.status >= 200).then_some(answer)
}

#[async_trait]
impl Stub for Recording {
    async fn answer(&self, edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody> {
        let method = request.method().as_str();
        let uri = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let Some(recorded) = self.answers.get(&(method.to_owned(), uri.to_owned())) else {
            return self.unknown(edge, method, uri);
        };
        let trailers = (!recorded.trailers.is_empty()).then(|| headers(&recorded.trailers));
        let mut answer = Response::new(StubBody::Full {
            data: recorded.body.data.clone().into(),
            trailers,
        });
        *answer.status_mut() = StatusCode::from_u16(recorded.status).unwrap_or_default();
        *answer.headers_mut() = headers(&recorded.headers);
        answer
    }
}

/// Secrets are not recorded, and a placeholder would be worse than nothing.
fn headers(recorded: &[(String, String)]) -> HeaderMap {
    let kept = recorded.iter().filter(|(_, value)| value != crate::capture::REDACTED);
    kept.filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?)))
        .collect()
}
