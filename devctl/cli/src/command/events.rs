//! `events`: what happens in the project, as it happens.

use clap::Args;
use devctl_wire::v1::{EventsRequest, update::What};
use tokio_stream::StreamExt;

use crate::args::{Format, Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::{json, notice};
use crate::session::is_end;
use crate::time::Moment;

/// Follow what happens to the project's services
#[derive(Args, Debug)]
pub(crate) struct Events {
    #[command(flatten)]
    services: Services,

    /// One JSON object per line
    #[arg(long)]
    json: bool,

    /// From this time on: `2026-11-23T10:00:00Z`, or `42m` ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,

    /// Up to this time, and end
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Events {
    /// Of these services, from now on.
    pub(super) fn live(services: Vec<String>) -> Self {
        Self {
            services: Services { services },
            json: false,
            since: None,
            until: None,
            talk: TalkFormat::default(),
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        use std::io::Write as _;
        let project = context.project_of(&self.services.services)?;
        let as_json = self.json || context.terminal.format == Format::Json;
        let style = context.terminal.out;
        context.block_on(async {
            let mut client = client::expect(&project).await?;
            let now = jiff::Timestamp::now();
            let until = self.until.map(|until| until.at(now));
            let request = EventsRequest {
                // From the first notice that is kept where the past matters.
                from: u64::from(self.since.is_some() || until.is_some_and(|until| until <= now)),
                follow: until.is_none_or(|until| until > now),
                logs: None,
            };
            let mut updates = client.events(request).await?.into_inner();
            let deadline = async {
                match until.filter(|until| *until > now) {
                    Some(until) => tokio::time::sleep(until.duration_since(now).unsigned_abs()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(deadline);
            let mut out = std::io::stdout();
            loop {
                let update = tokio::select! {
                    () = &mut deadline => return Ok(Exit::Ok),
                    update = updates.next() => match update {
                        Some(Ok(update)) => update,
                        Some(Err(status)) if !is_end(&status) => return Err(status.into()),
                        Some(Err(_)) | None => return Ok(Exit::Ok),
                    },
                };
                let Some(What::Notice(heard)) = update.what else {
                    continue;
                };
                let time = jiff::Timestamp::from_millisecond(heard.time_unix_ms).unwrap_or(now);
                let wanted = self.services.services.is_empty()
                    || self.services.services.iter().any(|service| is_of(&heard.node, service));
                let in_time =
                    self.since.is_none_or(|since| time >= since.at(now)) && until.is_none_or(|until| time <= until);
                if !wanted || !in_time {
                    continue;
                }
                if as_json {
                    writeln!(out, "{}", json::notice(&heard))?;
                } else {
                    let lines = notice::notice(&heard, style);
                    writeln!(out, "{} {}", style.dim(&format!("{time:.3}")), lines.join("\n"))?;
                }
            }
        })
    }
}

/// Whether a node is the service, or one of its replicas.
fn is_of(node: &str, service: &str) -> bool {
    node.strip_prefix(service)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}
