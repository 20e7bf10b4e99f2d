//! Names of anchors that go-yaml takes and the parser here does not, such as `&common.env`: for the parser they get another
//! name of the same length, so that everything stays where it stands.

use std::ops::Range;

/// How many anchors and aliases get another name at most: the text is parsed again for each.
const MAX_RENAMED: usize = 1000;
/// How many bytes are parsed again in all, so that a huge file is refused soon.
const MAX_PARSED: usize = 64 << 20;

/// The names that were given.
#[derive(Default)]
pub(super) struct Renamed {
    /// As written, and as given.
    names: Vec<(String, String)>,
    count: usize,
}

impl Renamed {
    /// Where the name stands that the parser stopped in, and the name that it gets; `None` where go-yaml has no name there either.
    pub(super) fn other(&self, body: &str, at: usize) -> Option<(Range<usize>, String)> {
        let place = name_at(body, at).filter(|_| self.count < MAX_RENAMED && self.count * body.len() < MAX_PARSED)?;
        let written = &body[place.clone()];
        if let Some((_, given)) = self.names.iter().find(|(known, _)| known == written) {
            return Some((place, given.clone()));
        }
        let free = |name: &String| {
            let used = |sign: char| body.contains(&format!("{sign}{name}"));
            name.len() == place.len() && !used('&') && !used('*')
        };
        let given = (0..=MAX_RENAMED)
            .map(|number| {
                let digits = number.to_string();
                "Z".repeat(place.len().saturating_sub(digits.len())) + &digits
            })
            .find(free);
        given.map(|given| (place, given))
    }

    /// Gives a name.
    pub(super) fn rename(&mut self, body: &mut String, place: Range<usize>, given: String) {
        let written = body[place.clone()].to_owned();
        body.replace_range(place, &given);
        self.count += 1;
        if !self.names.iter().any(|(known, _)| *known == written) {
            self.names.push((written, given));
        }
    }

    /// The name as it is written.
    pub(super) fn written<'n>(&'n self, given: &'n str) -> &'n str {
        let known = self.names.iter().find(|(_, known)| known == given);
        known.map_or(given, |(written, _)| written)
    }
}

/// The name of an anchor or alias, without its sign, around an offset.
fn name_at(body: &str, at: usize) -> Option<Range<usize>> {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}');
    let before = body.get(..at)?;
    let sign = before
        .char_indices()
        .rfind(|(_, c)| ends(*c))
        .map_or(0, |(last, c)| last + c.len_utf8());
    let name = body[sign..].strip_prefix(['&', '*'])?;
    let length = name.find(|c| ends(c) || c == ':').unwrap_or(name.len());
    let open = name[length..].starts_with(['[', '{']);
    (length > 0 && !open && name[..length].is_ascii()).then_some(sign + 1..sign + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_another_one_of_its_length_that_is_not_used() {
        let mut body = "x: &a.b 1\ny: *Z0\nz: *a.b\n".to_owned();
        let mut renamed = Renamed::default();
        for _ in 0..2 {
            let at = body.find('.').unwrap();
            let (place, given) = renamed.other(&body, at).unwrap();
            renamed.rename(&mut body, place, given);
        }
        assert_eq!(body, "x: &ZZ0 1\ny: *Z0\nz: *ZZ0\n");
        assert_eq!(renamed.written("ZZ0"), "a.b");
        assert!(renamed.other("x: &a.b{c: d}", 5).is_none());
        assert!(renamed.other("x: a.b", 4).is_none());
        assert!(renamed.other("x: &aé 1", 5).is_none());
    }
}
