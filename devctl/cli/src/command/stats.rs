//! `stats`: what each service uses of the machine, live.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::Args;
use devctl_drivers::usage::{self, Usage};
use serde_json::{Value, json};

use crate::args::Services;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{table, template};
use crate::standing::{self, Place, Running};
use crate::terminal::Size;

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);

/// Show what services use of the machine: CPU, memory, network, disk
#[derive(Args, Debug)]
pub(crate) struct Stats {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,

    /// `table`, `json`, or a template such as `{{.Name}} {{.CPUPerc}}`
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: String,

    /// Look once, and end
    #[arg(long)]
    no_stream: bool,

    /// Names and commands in full (they are)
    #[arg(long, hide = true)]
    no_trunc: bool,

    #[command(flatten)]
    services: Services,
}

/// What a service used between two looks.
struct Row {
    name: String,
    now: Option<(Usage, f64)>,
}

impl Stats {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        context.block_on(self.look(&project))
    }

    async fn look(&self, project: &Project) -> Result<Exit, Error> {
        let mut before: HashMap<String, Usage> = HashMap::new();
        let mut shown = 0;
        let live = self.format == "table" && io::stdout().is_terminal();
        let mut clock = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Signal(nix::sys::signal::Signal::SIGINT as i32)),
            }
            let mut rows = Vec::new();
            let running = standing::everything(project, &self.services.services).await?;
            let is_first = before.is_empty() && !running.is_empty();
            let mut next = HashMap::new();
            for one in running {
                let Some(now) = of(&one).await else { continue };
                let percent = before.get(&one.name).map(|earlier| now.cpu_percent(earlier));
                next.insert(one.name.clone(), now);
                rows.push(Row {
                    name: one.name,
                    now: Some((now, percent.unwrap_or_default())),
                });
            }
            before = next;
            // A rate wants two looks.
            if is_first {
                continue;
            }
            if self.all {
                let there: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
                let wanted = |name: &String| self.services.services.is_empty() || self.services.services.contains(name);
                let absent = project
                    .services()
                    .into_iter()
                    .filter(|name| wanted(name) && !there.contains(name));
                rows.extend(absent.map(|name| Row { name, now: None }));
            }
            let mut out = io::stdout().lock();
            if self.format == "json" {
                for row in &rows {
                    writeln!(out, "{}", row.json())?;
                }
            } else if self.format != "table" {
                let objects: Vec<Value> = rows.iter().map(Row::words).collect();
                for line in template::lines(&self.format, &objects, &FIELDS, "service")? {
                    writeln!(out, "{line}")?;
                }
            } else {
                let lines = table::lines(
                    &std::iter::once(head())
                        .chain(rows.iter().map(Row::cells))
                        .collect::<Vec<_>>(),
                );
                if live && shown > 0 {
                    // Up to where the last table began, and everything below it away.
                    write!(out, "\x1b[{shown}A\x1b[J")?;
                }
                let most = if live {
                    Size::now().height.saturating_sub(1)
                } else {
                    usize::MAX
                };
                shown = lines.len().min(most);
                for line in lines.iter().take(most) {
                    writeln!(out, "{line}")?;
                }
            }
            out.flush()?;
            if self.no_stream || rows.is_empty() {
                return Ok(Exit::Ok);
            }
        }
    }
}

/// One that ended meanwhile uses nothing any more.
async fn of(one: &Running) -> Option<Usage> {
    match &one.place {
        Place::Process(pid) => usage::of_process(*pid),
        Place::Container(container) => container.engine.usage(&container.id).await.ok().flatten(),
    }
}

/// What a template may name, in the order of the table; the last two are the first one's other names.
const FIELDS: [&str; 9] = [
    "Name",
    "CPUPerc",
    "MemUsage",
    "MemPerc",
    "NetIO",
    "BlockIO",
    "PIDs",
    "Container",
    "ID",
];

fn head() -> Vec<String> {
    [
        "NAME",
        "CPU %",
        "MEM USAGE / LIMIT",
        "MEM %",
        "NET I/O",
        "BLOCK I/O",
        "PIDS",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let Some((used, cpu)) = &self.now else {
            return std::iter::once(self.name.clone())
                .chain(std::iter::repeat_n("-".to_owned(), 6))
                .collect();
        };
        // A process shares its host's network: nobody counts what is its own.
        let network = match (used.received, used.sent) {
            (Some(received), Some(sent)) => format!("{} / {}", bytes(received), bytes(sent)),
            _ => "-".to_owned(),
        };
        vec![
            self.name.clone(),
            format!("{cpu:.2}%"),
            format!("{} / {}", bytes(used.memory), bytes(used.memory_limit)),
            format!("{:.2}%", memory_percent(used)),
            network,
            format!("{} / {}", bytes(used.read), bytes(used.written)),
            used.tasks.to_string(),
        ]
    }

    /// The table's own words, by the names that Docker's templates have for them.
    fn words(&self) -> Value {
        let cells = self.cells();
        let mut words: serde_json::Map<String, Value> = FIELDS
            .iter()
            .zip(cells)
            .map(|(field, cell)| ((*field).to_owned(), Value::String(cell)))
            .collect();
        for alias in ["Container", "ID"] {
            words.insert(alias.to_owned(), Value::String(self.name.clone()));
        }
        Value::Object(words)
    }

    fn json(&self) -> Value {
        let Some((used, cpu)) = &self.now else {
            return json!({ "Name": self.name });
        };
        let percent = |value: f64| (value * 100.0).round() / 100.0;
        json!({
            "Name": self.name,
            "CPUPerc": percent(*cpu),
            "MemUsage": used.memory,
            "MemLimit": used.memory_limit,
            "MemPerc": percent(memory_percent(used)),
            "NetIn": used.received,
            "NetOut": used.sent,
            "BlockIn": used.read,
            "BlockOut": used.written,
            "PIDs": used.tasks,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, shown with two digits")]
fn memory_percent(used: &Usage) -> f64 {
    match used.memory_limit {
        0 => 0.0,
        limit => used.memory as f64 / limit as f64 * 100.0,
    }
}

/// `12.3 MiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }
}
