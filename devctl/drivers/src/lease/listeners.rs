//! "Port taken by whom": the listener of an address, by `/proc/net/tcp` and the open files of processes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proc;

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its process; `None` where it belongs to another user and cannot be seen.
    pub pid: Option<i32>,
    /// Its command line, as far as it can be seen.
    pub command: Option<String>,
}

/// Who keeps `addr` from being listened on: whoever listens on that very address, or on its port on every address.
/// `None`: nobody.
pub fn who_listens(addr: SocketAddr) -> Option<Listener> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| {
            table
                .lines()
                .filter_map(listening)
                .find(|(at, _)| in_the_way(*at, addr))
                .map(|found| found.1)
        })?;
    let pid = owner(&inode);
    Some(Listener {
        pid,
        command: pid.and_then(proc::command_line),
    })
}

fn in_the_way(listener: SocketAddr, wanted: SocketAddr) -> bool {
    listener.port() == wanted.port()
        && (listener.ip() == wanted.ip() || listener.ip().is_unspecified() || wanted.ip().is_unspecified())
}

/// The address and the inode of a row whose state is LISTEN.
fn listening(row: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let addr = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some((addr, (*fields.get(9)?).to_owned()))
}

/// Words of 32 bits in the machine's own order, written in hexadecimal.
fn ip_of(text: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = text
        .as_bytes()
        .chunks(8)
        .map(|word| {
            u32::from_str_radix(std::str::from_utf8(word).ok()?, 16)
                .ok()
                .map(u32::to_ne_bytes)
        })
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [_, _, _, _] => {
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?);
            Some(ip.to_ipv4_mapped().map_or(ip.into(), IpAddr::from))
        }
        _ => None,
    }
}

fn owner(inode: &str) -> Option<i32> {
    let wanted = format!("socket:[{inode}]");
    proc::table().into_keys().find(|pid| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_listener_is_this_process_and_then_nobody() {
        for any in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(any).unwrap();
            let addr = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
            let found = who_listens(addr).unwrap();
            assert_eq!(found.pid, i32::try_from(std::process::id()).ok(), "{any}");
            assert!(found.command.unwrap().contains("devctl"), "{any}");
            drop(listener);
            assert_eq!(who_listens(addr), None, "{any}");
        }
    }
}
