//! `port`: where a service's port can be reached from this machine.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::StatusRequest;

use crate::client;
use crate::complete;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Print the public address of a service's port
#[derive(Args, Debug)]
pub(crate) struct Port {
    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,

    /// The port as the service knows it [default: every published one]
    #[arg(value_name = "PRIVATE_PORT")]
    private_port: Option<u32>,

    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// `tcp` or `udp`
    #[arg(long, default_value = "tcp")]
    protocol: String,
}

impl Port {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        let status = context.block_on(async {
            let mut client = client::expect(&project).await?;
            let request = StatusRequest {
                services: vec![self.service.clone()],
                resolved: false,
            };
            Ok(client.status(request).await?.into_inner())
        })?;
        let of_service: Vec<_> = status
            .nodes
            .iter()
            .filter(|node| node.service == self.service)
            .collect();
        let node = of_service
            .iter()
            .find(|node| node.index.max(1) == self.index)
            .ok_or_else(|| Error::Unmet {
                what: format!("`{}` has no replica {}", self.service, self.index),
                help: Some(format!("it has {}", of_service.len())),
            })?;
        let Some(private_port) = self.private_port else {
            let mut out = io::stdout().lock();
            for port in node.ports.iter().filter(|port| !port.published.is_empty()) {
                writeln!(out, "{}/{} -> {}", port.target, port.protocol, port.published)?;
            }
            return Ok(Exit::Ok);
        };
        let port = node.ports.iter().find(|port| {
            port.target == private_port
                && (port.protocol.is_empty() || port.protocol.eq_ignore_ascii_case(&self.protocol))
        });
        let address = port.map(|port| {
            if port.published.is_empty() {
                &port.address
            } else {
                &port.published
            }
        });
        match address.filter(|address| !address.is_empty()) {
            Some(address) => {
                writeln!(io::stdout(), "{address}")?;
                Ok(Exit::Ok)
            }
            None => {
                let ports: Vec<String> = node
                    .ports
                    .iter()
                    .map(|port| format!("{}/{}", port.target, port.protocol))
                    .collect();
                Err(Error::Unmet {
                    what: format!(
                        "port {}/{} of `{}` has no address",
                        private_port, self.protocol, self.service
                    ),
                    help: Some(if ports.is_empty() {
                        "it has no ports; `ports:` in the Compose file publishes one".into()
                    } else {
                        format!("its ports are {}", ports.join(", "))
                    }),
                })
            }
        }
    }
}
