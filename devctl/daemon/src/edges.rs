//! What people do with edges while they are in use: faults, traffic.

use std::time::Duration;

use devctl_edge::{AmqpWhat, Edge, EdgeId, Edges, Fault, FaultKind, Filter, Followed, Outcome, Protocol, Record, har};
use devctl_wire::v1;
use tonic::Status;

/// Edges by their ends: `api->billing:9090`, `api->billing`, `->billing`, `api->`, `billing`; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    consumer: Option<String>,
    provider: Option<String>,
    port: Option<u16>,
}

impl Ends {
    /// Reads what a person wrote.
    pub(crate) fn parse(written: &str) -> Result<Self, Status> {
        let (consumer, rest) = match written.split_once("->") {
            Some((consumer, rest)) => (consumer.trim(), rest.trim()),
            None => ("", written.trim()),
        };
        let (provider, port) = match rest.rsplit_once(':') {
            Some((provider, digits)) => {
                let port = digits
                    .parse()
                    .map_err(|_| Status::invalid_argument(format!("`{digits}` in `{written}` is no port")))?;
                (provider, Some(port))
            }
            None => (rest, None),
        };
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            consumer: named(consumer),
            provider: named(provider),
            port,
        })
    }

    fn mean(&self, id: &EdgeId) -> bool {
        self.consumer.as_ref().is_none_or(|consumer| *consumer == id.consumer)
            && self.provider.as_ref().is_none_or(|provider| *provider == id.provider)
            && self.port.is_none_or(|port| port == id.port)
    }

    /// The open edges that are meant.
    pub(crate) fn among(&self, edges: &Edges, written: &str) -> Result<Vec<Edge>, Status> {
        let all = edges.list();
        let meant: Vec<Edge> = all.iter().filter(|edge| self.mean(edge.id())).cloned().collect();
        if meant.is_empty() {
            return Err(Status::not_found(unknown(written, &all)));
        }
        Ok(meant)
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter {
            consumer: self.consumer.clone(),
            provider: self.provider.clone(),
            port: self.port,
            after: None,
        }
    }
}

/// So many edges that may have been meant are named.
const NEAREST: usize = 3;

/// That there is no such edge, with those that were probably meant.
fn unknown(written: &str, all: &[Edge]) -> String {
    if all.is_empty() {
        return format!("no edge is `{written}`: none is open");
    }
    let mut names: Vec<(f64, String)> = all
        .iter()
        .map(|edge| edge.id())
        .map(|id| {
            let whole = id.to_string();
            let forms = [
                whole.clone(),
                format!("{}->{}", id.consumer, id.provider),
                id.provider.clone(),
            ];
            let score = forms
                .iter()
                .map(|form| strsim::normalized_damerau_levenshtein(written, form));
            (score.fold(0.0, f64::max), whole)
        })
        .collect();
    names.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let near = names.iter().filter(|(score, _)| *score > 0.6).take(NEAREST);
    let near: Vec<String> = near.map(|(_, name)| format!("`{name}`")).collect();
    match near.is_empty() {
        true => format!(
            "no edge is `{written}`; `devctl edges` lists the {} that there are",
            all.len()
        ),
        false => format!("no edge is `{written}`: did you mean {}?", near.join(" or ")),
    }
}

/// Does what is asked, and lists what there is then.
pub(crate) fn fault(edges: &Edges, request: &v1::FaultRequest) -> Result<v1::FaultReply, Status> {
    let ends = Ends::parse(&request.edge)?;
    let listed = request.what.is_none() && request.edge.is_empty();
    let meant = if listed {
        edges.list()
    } else {
        ends.among(edges, &request.edge)?
    };
    match &request.what {
        Some(v1::fault_request::What::Add(written)) => {
            let fault = read(written)?;
            let can =
                |edge: &&Edge| !matches!(fault.kind, FaultKind::Error { .. }) || may_answer(edge.stats().protocol);
            let able: Vec<&Edge> = meant.iter().filter(can).collect();
            if let (true, Some(edge)) = (able.is_empty(), meant.first()) {
                return Err(Status::invalid_argument(format!(
                    "`{}` carries {}: an error can be answered only where HTTP is spoken; `--reset` and `--timeout` work on every edge",
                    edge.id(),
                    edge.stats().protocol.word()
                )));
            }
            able.iter().for_each(|edge| edge.add_fault(fault.clone()));
        }
        Some(v1::fault_request::What::Remove(name)) => {
            let of_kind = |edge: &Edge| {
                let faults = edge.faults().into_iter().filter(|fault| fault.kind.word() == name);
                let removed = faults.filter(|fault| edge.remove_fault(&fault.name)).count();
                removed > 0
            };
            let removed = meant
                .iter()
                .filter(|edge| edge.remove_fault(name) || of_kind(edge))
                .count();
            if removed == 0 {
                let names: Vec<String> = meant.iter().flat_map(Edge::faults).map(|fault| fault.name).collect();
                let names = if names.is_empty() {
                    "there is none".to_owned()
                } else {
                    format!("there is {}", names.join(", "))
                };
                return Err(Status::not_found(format!("no fault is called `{name}`: {names}")));
            }
        }
        Some(v1::fault_request::What::Clear(_)) => meant.iter().for_each(Edge::clear_faults),
        None => {}
    }
    let placed = |edge: &Edge| {
        let id = edge.id().to_string();
        let fault = move |fault: Fault| v1::PlacedFault {
            edge: id.clone(),
            text: fault.to_string(),
            name: fault.name,
        };
        edge.faults().into_iter().map(fault).collect::<Vec<_>>()
    };
    Ok(v1::FaultReply {
        faults: meant.iter().flat_map(placed).collect(),
        edges: meant.iter().map(|edge| edge.id().to_string()).collect(),
    })
}

/// Whether somebody who speaks it can be answered with a status.
fn may_answer(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::Auto | Protocol::Http | Protocol::Http2 | Protocol::Grpc
    )
}

fn read(written: &v1::EdgeFault) -> Result<Fault, Status> {
    let ms = Duration::from_millis;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let needs = |value: u64, what: &str| match value {
        0 => Err(Status::invalid_argument(format!(
            "a fault of kind `{}` needs {what}",
            written.kind
        ))),
        value => Ok(value),
    };
    let kind = match written.kind.as_str() {
        "latency" => FaultKind::Latency {
            latency: ms(needs(written.latency_ms, "a latency")?),
            jitter: ms(written.jitter_ms),
        },
        "bandwidth" => FaultKind::Bandwidth {
            rate: needs(written.rate, "a rate")?,
        },
        "slow_close" => FaultKind::SlowClose {
            delay: ms(needs(written.delay_ms, "a delay")?),
        },
        "timeout" => FaultKind::Timeout {
            timeout: ms(written.timeout_ms),
        },
        "reset_peer" => FaultKind::ResetPeer {
            timeout: ms(written.timeout_ms),
        },
        "slicer" => FaultKind::Slicer {
            average_size: size(needs(written.size, "a size")?),
            size_variation: size(written.size_variation),
            delay: ms(written.delay_ms),
        },
        "limit_data" => FaultKind::LimitData {
            bytes: needs(written.size, "a size")?,
        },
        "error" => match u16::try_from(written.status) {
            Ok(status @ 400..=599) => FaultKind::Error { status },
            _ => {
                return Err(Status::invalid_argument(
                    "a fault of kind `error` needs a status from 400 to 599",
                ));
            }
        },
        other => return Err(Status::invalid_argument(format!("there is no fault of kind `{other}`"))),
    };
    let mut fault = Fault::new(kind);
    if written.upstream {
        fault = fault.upstream();
    }
    if written.percent > 0.0 {
        fault = fault.percent(written.percent);
    }
    if !written.name.is_empty() {
        fault.name.clone_from(&written.name);
    }
    Ok(fault)
}

/// One record for the wire.
pub(crate) fn followed(followed: &Followed) -> v1::TrafficRecord {
    match followed {
        Followed::Record(record) => record_of(record),
        Followed::Missed(count) => v1::TrafficRecord {
            kind: "missed".to_owned(),
            text: format!("{count} records came faster than they were taken"),
            failed: true,
            ..v1::TrafficRecord::default()
        },
    }
}

pub(crate) fn record_of(record: &Record) -> v1::TrafficRecord {
    let (kind, text, failed) = match record {
        Record::Exchange(exchange) => {
            let status = match (&exchange.response, &exchange.outcome) {
                (Some(response), _) => match response.grpc_status() {
                    Some(code) => format!("grpc {code}"),
                    None => response.status.to_string(),
                },
                (None, Outcome::Failed { why }) => why.clone(),
                (None, _) => "the caller left".to_owned(),
            };
            let is_failure = |response: &devctl_edge::Response| {
                response.status >= 500 || response.grpc_status().is_some_and(|code| code != 0)
            };
            let failed =
                exchange.response.as_ref().is_none_or(is_failure) || matches!(exchange.outcome, Outcome::Failed { .. });
            let mut text = format!(
                "{} {} {status} {:.1} ms",
                exchange.request.method,
                exchange.request.uri,
                exchange.timing.total.as_secs_f64() * 1000.0
            );
            if !exchange.timing.held.is_zero() {
                text.push_str(&format!(", held {:.0} ms", exchange.timing.held.as_secs_f64() * 1000.0));
            }
            // An answer that had begun may still not have come.
            match &exchange.outcome {
                Outcome::Failed { why } if exchange.response.is_some() => text.push_str(&format!(", failed: {why}")),
                Outcome::Left if exchange.response.is_some() => text.push_str(", the caller left"),
                _ => {}
            }
            if !exchange.faults.is_empty() {
                text.push_str(&format!(", faults: {}", exchange.faults.join(", ")));
            }
            ("exchange", text, failed)
        }
        Record::Connection(connection) => {
            let text = format!(
                "connection of {:.1} s, {} bytes there, {} back",
                connection.timing.total.as_secs_f64(),
                connection.bytes_out,
                connection.bytes_in
            );
            ("connection", text, matches!(connection.outcome, Outcome::Failed { .. }))
        }
        Record::Amqp(event) => ("amqp", amqp(&event.what), false),
    };
    let entry = match record {
        Record::Exchange(_) => har(std::iter::once(record))["log"]["entries"][0].to_string(),
        _ => String::new(),
    };
    v1::TrafficRecord {
        number: record.number(),
        edge: record.edge().to_string(),
        kind: kind.to_owned(),
        text,
        json: serde_json::to_string(record).unwrap_or_default(),
        har: entry,
        failed,
    }
}

/// One AMQP event as a line.
fn amqp(what: &AmqpWhat) -> String {
    let settled = |settles: &[devctl_edge::Settled]| {
        let names: Vec<String> = settles
            .iter()
            .map(|one| format!("{} {}", one.exchange, one.routing_key))
            .collect();
        names.join(", ")
    };
    match what {
        AmqpWhat::Publish {
            exchange,
            routing_key,
            message,
            ..
        } => {
            format!("publish {exchange} {routing_key}, {} bytes", message.body.size)
        }
        AmqpWhat::Deliver {
            queue,
            exchange,
            routing_key,
            redelivered,
            message,
            ..
        } => {
            let queue = queue.as_deref().unwrap_or("?");
            let again = if *redelivered { ", again" } else { "" };
            format!(
                "deliver {exchange} {routing_key} from {queue}, {} bytes{again}",
                message.body.size
            )
        }
        AmqpWhat::GetOk {
            queue,
            exchange,
            routing_key,
            message,
            ..
        } => {
            let queue = queue.as_deref().unwrap_or("?");
            format!("get {exchange} {routing_key} from {queue}, {} bytes", message.body.size)
        }
        AmqpWhat::Return {
            code,
            text,
            exchange,
            routing_key,
            ..
        } => format!("return {exchange} {routing_key}: {code} {text}"),
        AmqpWhat::Ack { settles, .. } => format!("ack {}", settled(settles)),
        AmqpWhat::Nack { settles, requeue, .. } => {
            format!(
                "nack {}{}",
                settled(settles),
                if *requeue { ", to be delivered again" } else { "" }
            )
        }
        AmqpWhat::Reject { settles, requeue, .. } => {
            format!(
                "reject {}{}",
                settled(settles),
                if *requeue { ", to be delivered again" } else { "" }
            )
        }
        AmqpWhat::DeclareExchange { exchange, kind } => format!("declare {kind} exchange {exchange}"),
        AmqpWhat::Queue {
            queue,
            messages,
            consumers,
        } => format!("queue {queue}: {messages} messages, {consumers} consumers"),
        AmqpWhat::Bind {
            queue,
            exchange,
            routing_key,
        } => format!("bind {queue} to {exchange} {routing_key}"),
        AmqpWhat::Consume { queue, .. } => format!("consume {queue}"),
        AmqpWhat::Cancel { consumer_tag } => format!("cancel {consumer_tag}"),
        AmqpWhat::Close { code, text } => format!("close: {code} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_people_write_them() {
        let ends = |consumer: Option<&str>, provider: Option<&str>, port| Ends {
            consumer: consumer.map(str::to_owned),
            provider: provider.map(str::to_owned),
            port,
        };
        assert_eq!(
            Ends::parse("api->billing:9090").unwrap(),
            ends(Some("api"), Some("billing"), Some(9090))
        );
        assert_eq!(
            Ends::parse("api -> billing").unwrap(),
            ends(Some("api"), Some("billing"), None)
        );
        assert_eq!(Ends::parse("->billing").unwrap(), ends(None, Some("billing"), None));
        assert_eq!(Ends::parse("billing").unwrap(), ends(None, Some("billing"), None));
        assert_eq!(Ends::parse("").unwrap(), Ends::default());
        assert!(Ends::parse("a->b:x").is_err());
    }
}
