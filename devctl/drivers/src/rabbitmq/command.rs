//! What is run: the emulator itself, without the shell scripts around it, with all that they would have said.

use std::path::Path;

use indexmap::IndexMap;

use super::config::{Settings, erlang_string};
use super::files::Layout;
use super::{Installation, NODE, RabbitError, RabbitSpec};
use crate::process::{ProcessSpec, RUN_VARIABLE, Stdin};
use crate::user::UserId;

/// More schedulers than that bring a development broker nothing but memory and wake-ups.
const MOST_SCHEDULERS: usize = 4;

/// Stops in order when standard input ends: RabbitMQ's own way on SIGTERM idles for a second after its work is done. A broker that is still
/// booting has nothing to put in order. So the death of the daemon ends it as well.
const ON_END_OF_INPUT: &str = "spawn(fun() -> \
    Input = open_port({fd,0,0}, [in,eof,binary]), \
    receive {Input,eof} -> \
        case catch rabbit:is_running() of true -> QUIET catch rabbit:stop(); _ -> ok end, \
        erlang:halt(0, [{flush,false}]) \
    end end).";
/// The management plugin's event handler asks its own process for an answer while that is shut down, and waits five seconds for it; without
/// the process there is nothing to wait for. Its supervisor would report that at length.
const QUIET_EVENTS: &str = "logger:set_primary_config(level, critical), catch exit(whereis(rabbit_event), kill),";

/// What the commands are made from.
pub(super) struct Command<'a> {
    pub(super) spec: &'a RabbitSpec,
    pub(super) installation: &'a Installation,
    pub(super) layout: &'a Layout,
    pub(super) settings: &'a Settings,
    pub(super) user: Option<&'a UserId>,
}

impl Command<'_> {
    pub(super) fn broker(&self, plugins: &Path) -> Result<ProcessSpec, RabbitError> {
        let modules = erlang_string(&self.layout.etc.join("modules").display().to_string());
        // Whatever the list says, the boot goes on: it is no more than a head start.
        let head_start =
            format!("case file:consult({modules}) of {{ok,[L]}} -> catch code:ensure_modules_loaded(L); _ -> ok end.");
        let on_end_of_input = ON_END_OF_INPUT.replace(
            "QUIET",
            match self.spec.management {
                Some(_) => QUIET_EVENTS,
                None => "",
            },
        );
        let cores = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_SCHEDULERS);
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        add(&[
            "-noinput",
            "-boot",
            "start_sasl",
            "-eval",
            &head_start,
            "-eval",
            &on_end_of_input,
            "-s",
            "rabbit",
            "boot",
        ]);
        // No line numbers in crash reports, and less to load. All schedulers at once, though the boot is held on one core: those that
        // were found offline at the start would stay so.
        add(&["+W", "w", "+L", "+S", &format!("{cores}:{cores}"), "+stbt", "u"]);
        // No spinning while idle: on a laptop it is heat, on a virtual machine the boot's own time.
        add(&["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]);
        // As RabbitMQ's own scripts say.
        add(&["+P", "1048576", "+t", "5000000", "+zdbbl", "128000", "+B", "i"]);
        add(&[
            "+MBas", "ageffcbf", "+MHas", "ageffcbf", "+MBlmbcs", "512", "+MHlmbcs", "512", "+MMmcs", "30",
        ]);
        add(&["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"]);
        add(&[
            "-kernel",
            "prevent_overlapping_partitions",
            "false",
            "inet_dist_use_interface",
            "{127,0,0,1}",
        ]);
        add(&["-start_epmd", "false"]);
        args.extend(self.settings.erl_args.iter().cloned());
        let mut env = self.env(plugins);
        for (name, value) in [
            ("RABBITMQ_DEFAULT_USER", &self.settings.user),
            ("RABBITMQ_DEFAULT_PASS", &self.settings.password),
            ("RABBITMQ_DEFAULT_VHOST", &self.settings.vhost),
        ] {
            env.insert(name.into(), value.clone());
        }
        env.extend(self.settings.env.iter().cloned());
        let broker = self.process(self.installation.erl.display().to_string(), args, env);
        Ok(ProcessSpec {
            stdin: Stdin::Pipe,
            ..broker
        })
    }

    pub(super) fn epmd(&self) -> ProcessSpec {
        let args = ["-port", &self.spec.epmd_port.to_string(), "-address", "127.0.0.1"]
            .map(str::to_owned)
            .to_vec();
        self.process(self.installation.epmd.display().to_string(), args, self.base())
    }

    pub(super) fn ctl(&self, plugins: &Path) -> ProcessSpec {
        let program = self.installation.home.join("sbin/rabbitmqctl").display().to_string();
        self.process(program, vec!["-n".into(), NODE.into()], self.env(plugins))
    }

    fn process(&self, program: String, args: Vec<String>, env: IndexMap<String, String>) -> ProcessSpec {
        let (dir, user) = (self.layout.home.clone(), self.user.cloned());
        ProcessSpec {
            program,
            args,
            env,
            dir,
            user,
            ..ProcessSpec::default()
        }
    }

    fn base(&self) -> IndexMap<String, String> {
        let mut env = IndexMap::from([
            (
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin".to_owned(),
            ),
            ("HOME".into(), self.layout.home.display().to_string()),
            ("LANG".into(), "C.UTF-8".into()),
            ("ERL_EPMD_PORT".into(), self.spec.epmd_port.to_string()),
            ("ERL_EPMD_ADDRESS".into(), "127.0.0.1".into()),
        ]);
        for name in ["TZ", RUN_VARIABLE] {
            if let Some(value) = self.spec.env.get(name) {
                env.insert(name.into(), value.clone());
            }
        }
        env
    }

    fn env(&self, plugins: &Path) -> IndexMap<String, String> {
        let layout = self.layout;
        let mut env = self.base();
        let dist_port = self.spec.dist_port.to_string();
        let none = layout.etc.join("none");
        for (name, value) in [
            ("RABBITMQ_NODENAME", Path::new(NODE)),
            ("RABBITMQ_DIST_PORT", Path::new(&dist_port)),
            ("RABBITMQ_MNESIA_BASE", &layout.mnesia),
            ("RABBITMQ_LOG_BASE", &layout.log),
            ("RABBITMQ_LOGS", Path::new("-")),
            ("RABBITMQ_CONFIG_FILE", &layout.etc.join("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", &layout.etc.join("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", &layout.etc.join("enabled_plugins")),
            // The machine's own broker has one in /etc, which is none of ours.
            ("RABBITMQ_CONF_ENV_FILE", &none),
            ("RABBITMQ_PLUGINS_DIR", plugins),
            ("ERL_LIBS", plugins),
            ("ERL_MAX_ETS_TABLES", Path::new("50000")),
            ("ERL_MAX_PORTS", Path::new("65536")),
        ] {
            env.insert(name.into(), value.display().to_string());
        }
        env
    }
}
