//! Arguments, properties and tables of AMQP. Whatever does not fit ends the reading with `None`.

use crate::amqp::MessageInfo;

/// Reads from the front.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn longlong(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A string of up to 255 bytes.
    pub(crate) fn text(&mut self) -> Option<String> {
        let len = self.byte()?;
        Some(String::from_utf8_lossy(self.take(usize::from(len))?).into_owned())
    }

    /// The bits of one octet.
    pub(crate) fn bit(&mut self, bit: u8) -> Option<bool> {
        self.0.first().map(|octet| octet >> bit & 1 == 1)
    }

    fn block(&mut self) -> Option<Fields<'a>> {
        let len = self.long()?;
        self.take(usize::try_from(len).ok()?).map(Fields)
    }

    /// A table, its values as text.
    pub(crate) fn table(&mut self) -> Option<Vec<(String, String)>> {
        let mut block = self.block()?;
        let mut all = Vec::new();
        while !block.0.is_empty() {
            all.push((block.text()?, block.value(0)?));
        }
        Some(all)
    }

    fn value(&mut self, depth: usize) -> Option<String> {
        // Tables within tables within tables are nobody's headers, but somebody's attack.
        if depth > 16 {
            return None;
        }
        Some(match self.byte()? {
            b't' => (self.byte()? != 0).to_string(),
            b'b' => i8::from_be_bytes(self.array()?).to_string(),
            b'B' => self.byte()?.to_string(),
            b's' | b'U' => i16::from_be_bytes(self.array()?).to_string(),
            b'u' => self.short()?.to_string(),
            b'I' => i32::from_be_bytes(self.array()?).to_string(),
            b'i' => self.long()?.to_string(),
            b'l' | b'L' => i64::from_be_bytes(self.array()?).to_string(),
            b'T' => self.longlong()?.to_string(),
            b'f' => f32::from_be_bytes(self.array()?).to_string(),
            b'd' => f64::from_be_bytes(self.array()?).to_string(),
            b'D' => {
                let (scale, number) = (self.byte()?, i32::from_be_bytes(self.array()?));
                format!("{number}e-{scale}")
            }
            b'S' | b'x' => String::from_utf8_lossy(self.block()?.0).into_owned(),
            b'V' => String::new(),
            b'A' => {
                let (mut block, mut all) = (self.block()?, Vec::new());
                while !block.0.is_empty() {
                    all.push(block.value(depth + 1)?);
                }
                format!("[{}]", all.join(", "))
            }
            b'F' => {
                let (mut block, mut all) = (self.block()?, Vec::new());
                while !block.0.is_empty() {
                    let name = block.text()?;
                    all.push(format!("{name}: {}", block.value(depth + 1)?));
                }
                format!("{{{}}}", all.join(", "))
            }
            _ => return None,
        })
    }

    /// A content header: the body's size and the message's properties.
    pub(crate) fn content(&mut self) -> Option<(u64, MessageInfo)> {
        let (_class, _weight, size, flags) = (self.short()?, self.short()?, self.longlong()?, self.short()?);
        let mut info = MessageInfo::default();
        let has = |bit: u8| flags >> bit & 1 == 1;
        if has(15) {
            info.content_type = Some(self.text()?);
        }
        if has(14) {
            info.content_encoding = Some(self.text()?);
        }
        if has(13) {
            info.headers = self.table()?;
        }
        if has(12) {
            info.delivery_mode = Some(self.byte()?);
        }
        if has(11) {
            self.byte()?;
        }
        if has(10) {
            info.correlation_id = Some(self.text()?);
        }
        if has(9) {
            info.reply_to = Some(self.text()?);
        }
        if has(8) {
            self.text()?;
        }
        if has(7) {
            info.message_id = Some(self.text()?);
        }
        if has(6) {
            self.longlong()?;
        }
        if has(5) {
            info.kind = Some(self.text()?);
        }
        if has(4) {
            self.text()?;
        }
        if has(3) {
            info.app_id = Some(self.text()?);
        }
        Some((size, info))
    }
}
