//! The short form of ports: `[address:][published:]target[/protocol]`, each with ranges.

use std::net::IpAddr;

/// A port in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) host_ip: String,
    pub(crate) target: i64,
    pub(crate) published: String,
    pub(crate) protocol: String,
}

/// Takes a port, or a range of ports, apart. Several come in the order in which Compose has them: by the target's text.
///
/// # Errors
/// A text that continues "`services.web.ports[0]` ".
pub(crate) fn parse(text: &str) -> Result<Vec<Short>, String> {
    let mut parts: Vec<&str> = text.split(':').collect();
    let target = parts.pop().unwrap_or_default();
    let published = parts.pop().unwrap_or_default();
    let address = parts.join(":");
    let (target, protocol) = target.split_once('/').unwrap_or((target, ""));
    if target.is_empty() {
        return Err(format!("names no port: `{text}`"));
    }
    let protocol = if protocol.is_empty() {
        "tcp".to_owned()
    } else {
        protocol.to_lowercase()
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("has a protocol other than `tcp`, `udp` and `sctp`: `{text}`"));
    }
    let host_ip = match address.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .ok_or_else(|| format!("has an address without its `]`: `{text}`"))?
            .to_owned(),
        None => address,
    };
    if !host_ip.is_empty() && !is_address(&host_ip) {
        return Err(format!("has an address that is none: `{host_ip}`"));
    }
    let (first, last) = range(target).ok_or_else(|| format!("has a container port that is none: `{target}`"))?;
    let published = match published {
        "" => None,
        written => Some(range(written).ok_or_else(|| format!("has a published port that is none: `{written}`"))?),
    };
    if let Some((begin, end)) = published
        && end - begin != last - first
        && first != last
    {
        return Err(format!("has ranges of different lengths: `{text}`"));
    }
    let count = last - first + 1;
    let mut ports: Vec<Short> = (0..count)
        .map(|index| {
            let published = match published {
                None => String::new(),
                Some((begin, end)) if count == 1 && begin != end => format!("{begin}-{end}"),
                Some((begin, _)) => (begin + index).to_string(),
            };
            Short {
                host_ip: host_ip.clone(),
                target: first + index,
                published,
                protocol: protocol.clone(),
            }
        })
        .collect();
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

fn range(text: &str) -> Option<(i64, i64)> {
    let number = |text: &str| crate::codec::go_int(text).filter(|port| (0..=65535).contains(port));
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

/// Whether a text is an IP address as Go reads one: no leading zeros, no zone.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        match parse(text) {
            Ok(ports) => ports
                .into_iter()
                .map(|p| format!("{}|{}|{}|{}", p.host_ip, p.published, p.target, p.protocol))
                .collect(),
            Err(why) => vec![why],
        }
    }

    #[test]
    fn ports_are_taken_apart() {
        assert_eq!(of("80"), ["||80|tcp"]);
        assert_eq!(of("8080:80/udp"), ["|8080|80|udp"]);
        assert_eq!(of("127.0.0.1::80"), ["127.0.0.1||80|tcp"]);
        assert_eq!(of("[::1]:1:2"), ["::1|1|2|tcp"]);
        assert_eq!(of("::1:1:2"), ["::1|1|2|tcp"]);
        assert_eq!(of("8000-8001:80-81"), ["|8000|80|tcp", "|8001|81|tcp"]);
        assert_eq!(of("8000-8010:80"), ["|8000-8010|80|tcp"]);
        assert_eq!(of("9-10"), ["||10|tcp", "||9|tcp"]);
        for wrong in ["", "80:", "x:80", "80/x", "1.2.3:80:80", "80-82:80-81", "70000"] {
            assert!(of(wrong)[0].contains(' '), "{wrong}");
        }
    }
}
