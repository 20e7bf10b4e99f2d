//! `logs`: what services printed. Read from the project's files, so that it works with no daemon and after `down`; only `--follow`
//! asks the daemon, and ends with it.

use std::io::{self, Write};

use clap::Args;
use devctl_drivers::log::{LogStore, Query, Retention, Stream};
use devctl_wire::v1::{LogLine, LogQuery, LogStream, NodeStatus, StatusRequest, update::What};
use jiff::Timestamp;
use regex::bytes::Regex;
use tokio_stream::StreamExt;

use crate::args::{Format, Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::json;
use crate::render::logs::{LogStyle, Prefixes};
use crate::session::{follow_logs, is_end};
use crate::time::Moment;

/// Print what services printed
#[derive(Args, Debug)]
pub(crate) struct Logs {
    #[command(flatten)]
    services: Services,

    /// Go on as more comes
    #[arg(short, long, overrides_with = "no_follow")]
    follow: bool,

    /// End with what is there (the default)
    #[arg(long, overrides_with = "follow")]
    no_follow: bool,

    /// From this time on: `2026-11-23T10:00:00Z`, or `42m` ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,

    /// Up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,

    /// The last so many lines of each service, or `all`
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", value_parser = tail)]
    tail: Tail,

    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,

    /// Which replica
    #[arg(long, value_name = "NUM")]
    index: Option<u32>,

    /// No colours
    #[arg(long)]
    no_color: bool,

    /// No service names before lines
    #[arg(long)]
    no_log_prefix: bool,

    /// The time before each line
    #[arg(short, long)]
    timestamps: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

/// `--tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<usize>);

impl Logs {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let store = LogStore::new(&project.dirs.logs, Retention::default());
        let kept = store.nodes().map_err(|source| Error::Io {
            doing: format!("read the logs in `{}`", project.dirs.logs.display()),
            source,
            help: None,
        })?;
        // A service that left the file has logs still.
        let gone = |service: &&String| !kept.iter().any(|node| service_of(node) == service.as_str());
        project.check_services(self.services.services.iter().filter(gone))?;
        let mut shown = Shown::new(context, &self);
        if !self.follow {
            return self.kept(&store, kept, &mut shown);
        }
        let followed = context.block_on(async {
            match client::find(&project).await? {
                Some(mut client) => self.live(&mut client, &project, &mut shown).await.map(Some),
                None => Ok(None),
            }
        })?;
        if let Some(exit) = followed {
            return Ok(exit);
        }
        if !context.global.quiet {
            writeln!(
                io::stderr(),
                "project `{}` is not up: these are its last lines",
                project.name
            )?;
        }
        self.kept(&store, kept, &mut shown)
    }

    /// What is in the files.
    fn kept(&self, store: &LogStore, kept: Vec<String>, shown: &mut Shown) -> Result<Exit, Error> {
        let now = Timestamp::now();
        let nodes: Vec<String> = kept.into_iter().filter(|node| self.is_wanted(node)).collect();
        if nodes.is_empty() {
            return Ok(Exit::Ok);
        }
        nodes.iter().for_each(|node| shown.prefixes.expect(node));
        let query = Query {
            nodes,
            since: self.since.map(|since| since.at(now)),
            until: self.until.map(|until| until.at(now)),
            tail: self.tail.0,
            grep: self.grep.clone(),
            ..Default::default()
        };
        let mut records = store.read(&query);
        while let Some(record) = records.try_next() {
            let stream = match record.stream {
                Stream::Stdout => LogStream::Stdout,
                Stream::Stderr => LogStream::Stderr,
                Stream::Devctl => LogStream::Devctl,
            };
            shown.line(&LogLine {
                node: record.node,
                run: record.run,
                time_unix_ns: i64::try_from(record.time.as_nanosecond()).unwrap_or_default(),
                stream: stream.into(),
                line: record.bytes,
                continues: record.continues,
            })?;
        }
        shown.out.flush()?;
        Ok(Exit::Ok)
    }

    /// What is there and what comes, from the daemon.
    async fn live(
        &self,
        client: &mut devctl_wire::Client,
        project: &Project,
        shown: &mut Shown,
    ) -> Result<Exit, Error> {
        let now = Timestamp::now();
        let nanoseconds = |at: Moment| i64::try_from(at.at(now).as_nanosecond()).unwrap_or(i64::MAX);
        let status = client.status(StatusRequest::default()).await?.into_inner();
        let known: Vec<NodeStatus> = status
            .nodes
            .into_iter()
            .filter(|node| self.is_wanted(&node.id))
            .collect();
        known.iter().for_each(|node| shown.prefixes.expect(&node.id));
        if known.is_empty() {
            project
                .services()
                .iter()
                .filter(|node| self.is_wanted(node))
                .for_each(|node| shown.prefixes.expect(node));
        }
        let query = LogQuery {
            services: self.services.services.clone(),
            since_unix_ns: self.since.map(nanoseconds),
            until_unix_ns: self.until.map(nanoseconds),
            tail: self.tail.0.map(|count| u64::try_from(count).unwrap_or(u64::MAX)),
        };
        let mut updates = follow_logs(client, query).await?;
        while let Some(update) = updates.next().await {
            let what = match update {
                Ok(update) => update.what,
                Err(status) if is_end(&status) => break,
                Err(status) => return Err(status.into()),
            };
            let Some(What::Log(line)) = what else { continue };
            let matches = self.grep.as_ref().is_none_or(|grep| grep.is_match(&line.line));
            if matches && self.is_wanted(&line.node) {
                shown.line(&line)?;
                shown.out.flush()?;
            }
        }
        Ok(Exit::Ok)
    }

    fn is_wanted(&self, node: &str) -> bool {
        let service = service_of(node);
        let named = self.services.services.is_empty() || self.services.services.iter().any(|wanted| wanted == service);
        named && self.index.is_none_or(|index| index_of(node) == index)
    }
}

/// Lines on stdout.
struct Shown {
    out: io::BufWriter<io::Stdout>,
    prefixes: Prefixes,
    json: bool,
}

impl Shown {
    fn new(context: &Context, logs: &Logs) -> Self {
        let how = LogStyle {
            no_prefix: logs.no_log_prefix,
            timestamps: logs.timestamps,
            no_color: logs.no_color,
        };
        Self {
            out: io::BufWriter::new(io::stdout()),
            prefixes: Prefixes::new(how, context.terminal.out),
            json: context.terminal.format == Format::Json,
        }
    }

    fn line(&mut self, line: &LogLine) -> io::Result<()> {
        if self.json {
            writeln!(self.out, "{}", json::log(line))
        } else {
            writeln!(self.out, "{}", self.prefixes.line(line))
        }
    }
}

/// `billing[2]` is of `billing`.
fn service_of(node: &str) -> &str {
    node.split_once('[').map_or(node, |(service, _)| service)
}

fn index_of(node: &str) -> u32 {
    node.split_once('[')
        .and_then(|(_, index)| index.trim_end_matches(']').parse().ok())
        .unwrap_or(1)
}

fn tail(text: &str) -> Result<Tail, String> {
    if text == "all" || text == "-1" {
        return Ok(Tail(None));
    }
    text.parse()
        .map(|count| Tail(Some(count)))
        .map_err(|_| "write a number of lines, or `all`".into())
}
