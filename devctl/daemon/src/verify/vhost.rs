//! A way to a broker that leads each provider to a virtual host of its own, whatever name it was told.
//!
//! The one method that names a virtual host (`connection.open`, AMQP 0-9-1 section 1.4.2.7) is rewritten on its way; everything
//! before and after passes untouched. So it matters not how a service learns the name: by a URL, a variable, a file.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::broker::{HostError, VirtualHosts};
use crate::start::LOOPBACK;

/// `connection.open`.
const OPEN: [u8; 4] = [0, 10, 0, 40];
/// No method of a handshake is longer.
const LONGEST: usize = 1 << 20;

/// A listener that leads to the broker.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    opened: watch::Receiver<Option<String>>,
    way: Arc<Way>,
    _serving: AbortOnDropHandle<()>,
}

struct Way {
    broker: SocketAddr,
    hosts: Arc<VirtualHosts>,
    /// What marks this provider's virtual hosts.
    mark: String,
    /// The broker's name of the first one that was opened.
    opened: watch::Sender<Option<String>>,
    /// One virtual host is made at a time.
    making: Mutex<Vec<String>>,
}

impl Relay {
    /// Listens for the provider that `mark` names.
    pub(super) async fn start(broker: SocketAddr, hosts: Arc<VirtualHosts>, mark: String) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::new(LOOPBACK, 0)).await?;
        let address = listener.local_addr()?;
        let (opened, seen) = watch::channel(None);
        let way = Arc::new(Way {
            broker,
            hosts,
            mark,
            opened,
            making: Mutex::default(),
        });
        let served = way.clone();
        let serving = tokio::spawn(async move {
            let way = served;
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let way = way.clone();
                        connections.spawn(async move {
                            // Either side may go at any time: the other one sees it as it would without us.
                            let _ended = way.lead(stream).await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            address,
            opened: seen,
            way,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The broker's name of the virtual host that the provider has opened; waits for the first one.
    pub(super) async fn opened(&self) -> Option<String> {
        let mut opened = self.opened.clone();
        opened.wait_for(Option::is_some).await.ok()?.as_ref().cloned()
    }
}

impl Relay {
    /// Makes as if nobody had come yet: virtual hosts that were made are removed, with everything in them.
    pub(super) async fn renew(&self) -> Result<(), HostError> {
        let made = std::mem::take(&mut *self.way.making.lock().unwrap_or_else(PoisonError::into_inner));
        self.way.opened.send_replace(None);
        for own in made {
            self.way.hosts.remove(&own).await?;
        }
        Ok(())
    }
}

impl Way {
    async fn lead(&self, client: TcpStream) -> io::Result<()> {
        let broker = TcpStream::connect(self.broker).await?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let ((mut from_client, to_client), (from_broker, mut to_broker)) = (client.into_split(), broker.into_split());
        let back = tokio::spawn(pass(from_broker, to_client));
        let there = async {
            self.until_open(&mut from_client, &mut to_broker).await?;
            copy(&mut from_client, &mut to_broker).await?;
            to_broker.shutdown().await
        };
        let ended = there.await;
        drop(to_broker);
        let _either = back.await;
        ended
    }

    /// Passes the handshake on, with another virtual host in its last method.
    async fn until_open(&self, client: &mut OwnedReadHalf, broker: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut protocol = [0; 8];
        client.read_exact(&mut protocol).await?;
        broker.write_all(&protocol).await?;
        if &protocol != b"AMQP\0\0\x09\x01" {
            return Ok(());
        }
        loop {
            let mut head = [0; 7];
            client.read_exact(&mut head).await?;
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            if size > LONGEST {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a method of more than 1 MiB",
                ));
            }
            let mut payload = vec![0; size + 1];
            client.read_exact(&mut payload).await?;
            let named = (head[0] == 1 && payload.starts_with(&OPEN))
                .then(|| named(&payload))
                .flatten();
            let Some(written) = named else {
                broker.write_all(&head).await?;
                broker.write_all(&payload).await?;
                continue;
            };
            let own = self.own(&written).await;
            broker.write_all(&renamed(&payload, &written, &own)).await?;
            self.opened.send_if_modified(|opened| {
                let first = opened.is_none();
                opened.get_or_insert(own);
                first
            });
            return Ok(());
        }
    }

    /// The provider's own virtual host in the place of `written`, made if it is not there. Where it cannot be made, the broker is
    /// asked for it all the same: its refusal is what the provider's log then shows.
    async fn own(&self, written: &str) -> String {
        let own = format!("{written}~{}", self.mark);
        let made = self
            .making
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&own);
        if !made {
            match self.hosts.copy(written, &own).await {
                Ok(()) => self
                    .making
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(own.clone()),
                Err(error) => tracing::warn!(%error, vhost = own, "the virtual host could not be made"),
            }
        }
        own
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// The virtual host that an `open` names.
fn named(payload: &[u8]) -> Option<String> {
    let length = usize::from(*payload.get(4)?);
    let name = payload.get(5..5 + length)?;
    String::from_utf8(name.to_vec()).ok()
}

/// The whole frame, of channel 0, with another name.
fn renamed(payload: &[u8], written: &str, own: &str) -> Vec<u8> {
    // A short string has 255 bytes at most.
    let own = &own.as_bytes()[..own.len().min(255)];
    let rest = &payload[5 + written.len()..];
    let mut method = OPEN.to_vec();
    method.push(own.len() as u8);
    method.extend_from_slice(own);
    method.extend_from_slice(rest);
    let mut frame = vec![1, 0, 0];
    // The frame's last byte is its end, and no part of its size.
    frame.extend_from_slice(&((method.len() - 1) as u32).to_be_bytes());
    frame.extend(method);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_is_another() {
        // "/", two reserved fields, the end of the frame.
        let payload = [0, 10, 0, 40, 1, b'/', 0, 0, 0xce];
        assert_eq!(named(&payload).unwrap(), "/");
        let frame = renamed(&payload, "/", "/~api");
        assert_eq!(frame[..7], [1, 0, 0, 0, 0, 0, 12]);
        assert_eq!(frame[7..], [0, 10, 0, 40, 5, b'/', b'~', b'a', b'p', b'i', 0, 0, 0xce]);
    }

    #[test]
    fn what_is_cut_short_names_nothing() {
        assert_eq!(named(&[0, 10, 0, 40, 9, b'x']), None);
        assert_eq!(named(&[0, 10, 0, 40]), None);
    }
}
