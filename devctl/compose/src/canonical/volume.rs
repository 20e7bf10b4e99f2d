//! The short form of a mount: `source:target:options`, or a target alone.

/// A mount in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) nocopy: bool,
    pub(crate) propagation: String,
    pub(crate) selinux: String,
    /// One or two characters are a target and nothing else.
    pub(crate) bare: bool,
}

impl Short {
    /// Whether the source is a path of the host.
    pub(crate) fn is_bind(&self) -> bool {
        let mut characters = self.source.chars();
        match characters.next() {
            None => false,
            Some('.' | '/' | '~') => true,
            Some(first) => self.source.starts_with("\\\\") || (first.is_alphabetic() && characters.next() == Some(':')),
        }
    }
}

/// Takes a mount apart.
///
/// # Errors
/// A text that continues "`services.web.volumes[0]` ".
pub(crate) fn parse(text: &str) -> Result<Short, String> {
    let mut mount = Short::default();
    match text.len() {
        0 => return Err("must not be empty".to_owned()),
        1 | 2 => {
            return Ok(Short {
                target: text.to_owned(),
                bare: true,
                ..Short::default()
            });
        }
        _ => {}
    }
    let mut section = String::new();
    let mut variables = 0;
    let mut characters = text.char_indices().map(Some).chain([None]);
    loop {
        let next = characters.next().flatten();
        match next {
            Some((at, '$')) if text[at..].starts_with("${") => {
                variables += 1;
                section.push('$');
            }
            Some((_, '}')) if variables > 0 => {
                variables -= 1;
                section.push('}');
            }
            // The colon of a Windows drive.
            Some((_, ':')) if section.chars().count() == 1 && section.starts_with(char::is_alphabetic) => {
                section.push(':')
            }
            Some((_, ':')) if variables == 0 => {
                add(&mut mount, &section, false).map_err(|why| format!("{why}: `{text}`"))?;
                section.clear();
            }
            Some((_, other)) => section.push(other),
            None => {
                if variables == 0 {
                    add(&mut mount, &section, true).map_err(|why| format!("{why}: `{text}`"))?;
                }
                return Ok(mount);
            }
        }
    }
}

fn add(mount: &mut Short, section: &str, last: bool) -> Result<(), &'static str> {
    if section.is_empty() {
        return Err("has nothing between two colons");
    }
    if mount.source.is_empty() {
        *(if last { &mut mount.target } else { &mut mount.source }) = section.to_owned();
        return Ok(());
    }
    if mount.target.is_empty() {
        section.clone_into(&mut mount.target);
        return Ok(());
    }
    if !last {
        return Err("has too many colons");
    }
    for option in section.split(',') {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.nocopy = true,
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                option.clone_into(&mut mount.propagation)
            }
            "z" | "Z" => option.clone_into(&mut mount.selinux),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_taken_apart() {
        let of = |text: &str| {
            parse(text).map(|mount| {
                (
                    mount.source.clone(),
                    mount.target.clone(),
                    mount.is_bind(),
                    mount.read_only,
                )
            })
        };
        let want = |source: &str, target: &str, bind, ro| Ok((source.to_owned(), target.to_owned(), bind, ro));
        assert_eq!(of("data:/data"), want("data", "/data", false, false));
        assert_eq!(of("./data:/data:ro"), want("./data", "/data", true, true));
        assert_eq!(of("/data"), want("", "/data", false, false));
        assert_eq!(of("C:\\x:/data"), want("C:\\x", "/data", true, false));
        assert_eq!(of("~/x:/data:rw,z"), want("~/x", "/data", true, false));
        assert!(of("ab::c").is_err());
        assert!(of("ab:cd:ef:gh").is_err());
        assert!(of("").is_err());
    }
}
