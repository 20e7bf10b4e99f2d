//! `kill`: send services a signal.

use std::io::Write as _;

use clap::Args;
use devctl_daemon::ends_a_process;
use devctl_wire::v1::{ActRequest, Verb};
use nix::sys::signal::Signal;

use super::act;
use crate::args::{Format, Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::Show;

/// Send services a signal
#[derive(Args, Debug)]
pub(crate) struct Kill {
    #[command(flatten)]
    services: Services,

    /// The signal: `SIGHUP`, `HUP` or `1`
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL", value_parser = signal)]
    signal: String,

    /// Remove what runs and is no longer in the files
    #[arg(long)]
    remove_orphans: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Kill {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let orphans = self.remove_orphans;
        let exit = self.send(context)?;
        if !orphans || context.global.dry_run {
            return Ok(exit);
        }
        let removed = super::down::orphans(context)?;
        Ok(if exit == Exit::Ok { removed } else { exit })
    }

    fn send(self, context: &Context) -> Result<Exit, Error> {
        let request = ActRequest {
            verb: Verb::Kill.into(),
            services: self.services.services,
            signal: self.signal,
            ..Default::default()
        };
        if ends_a_process(&request.signal) {
            return act::run(context, request);
        }
        // Nothing ends by it, so there is nothing to wait for and no outcome to tell.
        let to = match request.services.as_slice() {
            [] => "every service".to_owned(),
            services => services.join(", "),
        };
        let said = format!("{} sent to {to}", request.signal);
        let quiet = Show {
            quiet: true,
            ..Show::default()
        };
        let exit = act::shown(context, request, quiet)?;
        if matches!(exit, Exit::Ok) && context.terminal.format != Format::Json {
            writeln!(std::io::stderr(), "{said}")?;
        }
        Ok(exit)
    }
}

/// Any way of writing a signal, as its full name.
fn signal(text: &str) -> Result<String, String> {
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number)
            .map(|signal| signal.to_string())
            .map_err(|_| format!("no signal has number {number}"));
    }
    let upper = text.to_uppercase();
    let name = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    name.parse::<Signal>()
        .map(|signal| signal.to_string())
        .map_err(|_| "not a signal; write for example SIGTERM, HUP or 9".into())
}

#[cfg(test)]
mod tests {
    use super::signal;

    #[test]
    fn signals_are_read_in_each_way_of_writing() {
        for text in ["SIGHUP", "hup", "1"] {
            assert_eq!(signal(text).unwrap(), "SIGHUP");
        }
        assert!(signal("SIGNOPE").is_err());
        assert!(signal("99").is_err());
    }
}
