//! Cutting a direction of an AMQP connection into frames, without keeping more of a body than is captured.

/// The longest method or header frame that is read; brokers agree on 128 KiB.
const LONGEST: usize = 1 << 20;
/// The byte that ends every frame.
const END: u8 = 0xCE;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Header,
    Body,
    Heartbeat,
}

/// One direction.
pub(crate) struct Frames {
    /// Bytes of the protocol header that are still to come.
    preamble: usize,
    head: [u8; 7],
    have: usize,
    payload: Vec<u8>,
    /// Bytes of the payload that are still to come.
    left: usize,
    in_frame: bool,
    /// Out of step: nothing more is read.
    lost: bool,
    /// Bytes of a body frame that are kept.
    body: usize,
}

impl Frames {
    /// A direction that begins with `preamble` bytes that are no frame.
    pub(crate) fn new(preamble: usize, body: usize) -> Self {
        Self {
            preamble,
            head: [0; 7],
            have: 0,
            payload: Vec::new(),
            left: 0,
            in_frame: false,
            lost: false,
            body,
        }
    }

    /// Reads on. Every frame that is complete is shown: its kind, channel, payload (of a body its beginning), and its
    /// real size.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut frame: impl FnMut(Kind, u16, &[u8], usize)) {
        let skip = self.preamble.min(bytes.len());
        self.preamble -= skip;
        bytes = &bytes[skip..];
        while !bytes.is_empty() && !self.lost {
            if !self.in_frame {
                let count = bytes.len().min(7 - self.have);
                self.head[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                self.have += count;
                bytes = &bytes[count..];
                if self.have == 7 {
                    self.in_frame = true;
                    self.left = self.size();
                    self.lost = self.kind().is_none() || (self.left > LONGEST && self.kind() != Some(Kind::Body));
                }
                continue;
            }
            if self.left > 0 {
                let count = bytes.len().min(self.left);
                let most = if self.kind() == Some(Kind::Body) {
                    self.body
                } else {
                    LONGEST
                };
                let keep = most.saturating_sub(self.payload.len()).min(count);
                self.payload.extend_from_slice(&bytes[..keep]);
                self.left -= count;
                bytes = &bytes[count..];
                continue;
            }
            self.lost = bytes[0] != END;
            bytes = &bytes[1..];
            if let (false, Some(kind)) = (self.lost, self.kind()) {
                frame(
                    kind,
                    u16::from_be_bytes([self.head[1], self.head[2]]),
                    &self.payload,
                    self.size(),
                );
            }
            self.payload.clear();
            (self.have, self.in_frame) = (0, false);
        }
    }

    fn size(&self) -> usize {
        u32::from_be_bytes([self.head[3], self.head[4], self.head[5], self.head[6]]) as usize
    }

    fn kind(&self) -> Option<Kind> {
        match self.head[0] {
            1 => Some(Kind::Method),
            2 => Some(Kind::Header),
            3 => Some(Kind::Body),
            8 => Some(Kind::Heartbeat),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend_from_slice(&channel.to_be_bytes());
        out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        out.extend_from_slice(payload);
        out.push(END);
        out
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let mut bytes = b"AMQP\x00\x00\x09\x01".to_vec();
        bytes.extend(frame(1, 0, b"start-ok"));
        bytes.extend(frame(3, 7, &[7; 5000]));
        bytes.extend(frame(8, 0, b""));
        for step in [1, 2, 5, 8, 9, 100, 9999] {
            let mut frames = Frames::new(8, 10);
            let mut seen = Vec::new();
            for part in bytes.chunks(step) {
                frames.read(part, |kind, channel, payload, size| {
                    seen.push((kind, channel, payload.len(), size))
                });
            }
            assert_eq!(
                seen,
                [
                    (Kind::Method, 0, 8, 8),
                    (Kind::Body, 7, 10, 5000),
                    (Kind::Heartbeat, 0, 0, 0)
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn what_is_no_frame_ends_the_reading() {
        let mut frames = Frames::new(0, 10);
        frames.read(b"AMQP\x00\x00\x09\x01 and more", |_, _, _, _| {
            panic!("this is no frame")
        });
        assert!(frames.lost);
    }
}
