//! `scale`: how many replicas of services run.

use clap::Args;

use super::up::Up;
use crate::args::TalkFormat;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Set how many replicas of services run
#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// Start nothing that they depend on
    #[arg(long)]
    no_deps: bool,

    /// Services with their numbers
    #[arg(value_name = "SERVICE=NUM", required = true, value_parser = count)]
    counts: Vec<(String, u32)>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Scale {
    /// Runs it: an `up` of these services that replaces nothing.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        Up::scaled(self.counts, self.no_deps).run(context)
    }
}

/// `web=3`.
pub(super) fn count(text: &str) -> Result<(String, u32), String> {
    let (service, count) = text.split_once('=').ok_or("write it as SERVICE=NUM")?;
    let count = count.parse().map_err(|_| format!("`{count}` is not a number"))?;
    Ok((service.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_number_follows_a_service() {
        assert_eq!(count("web=3").unwrap(), ("web".to_owned(), 3));
        assert!(count("web").is_err());
        assert!(count("web=many").is_err());
        assert!(count("web=-1").is_err());
    }
}
