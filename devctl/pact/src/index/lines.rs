//! Which line of a JSON text each interaction begins on, so that reports and errors can point there.

/// The lines (from 1) on which the elements of the top-level array `key` begin. The text is valid JSON.
pub(super) fn of_elements(text: &str, key: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
    };
    // Inside the array at depth 2, an element begins at the first byte after `[` or `,`.
    let (mut depth, mut wanted, mut inside, mut expects_element) = (0_usize, false, false, false);
    while let Some(byte) = scan.next_token() {
        if inside && depth == 2 && expects_element && byte != b']' {
            lines.push(scan.line);
            expects_element = false;
        }
        match byte {
            b'"' => {
                let string = scan.string();
                if depth == 1 {
                    wanted = string == key.as_bytes();
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth == 2 && byte == b'[' && wanted {
                    inside = true;
                    expects_element = true;
                }
            }
            b'}' | b']' => {
                if depth == 2 {
                    inside = false;
                    wanted = false;
                }
                depth = depth.saturating_sub(1);
            }
            b',' if inside && depth == 2 => expects_element = true,
            _ => {}
        }
    }
    lines
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is not a blank.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return Some(byte),
            }
        }
    }

    /// The rest of a string whose opening quote was taken, as written.
    fn string(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return &self.bytes[start..self.at - 1];
                }
                _ => self.at += 1,
            }
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::of_elements;

    #[test]
    fn elements_are_found_whatever_the_layout() {
        let text =
            "{\n  \"a\": [1,\n2],\n  \"interactions\": [\n    {\"x\": \"],[\"},\n\n    {\"interactions\": [\n1]}\n  ]}";
        assert_eq!(of_elements(text, "interactions"), [5, 7]);
        assert_eq!(
            of_elements("{\"interactions\":[]}", "interactions"),
            Vec::<usize>::new()
        );
        assert_eq!(
            of_elements("{\"interactions\":[{\"a\":\"\\\"\"},{}]}", "interactions"),
            [1, 1]
        );
    }
}
