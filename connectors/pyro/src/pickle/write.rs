// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing, for a reader that is Python 2's: all texts are its `str`.

/// A pickle in the making: values one after the other, containers by closures that write what is in them.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { out: vec![0x80, 2] }
    }
}

impl Writer {
    /// The whole pickle with the one value that `write` writes.
    #[must_use]
    pub fn pickle(write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut writer = Self::default();
        write(&mut writer);
        writer.out.push(b'.');
        writer.out
    }

    /// `None`
    pub fn none(&mut self) {
        self.out.push(b'N');
    }

    /// `True`, `False`
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0x88 } else { 0x89 });
    }

    /// An `int`; beyond 32 bits a `long`, which Python takes for the same.
    pub fn int(&mut self, value: i64) {
        if let Ok(value) = u8::try_from(value) {
            self.out.extend([b'K', value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(b'M');
            self.out.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(b'J');
            self.out.extend(value.to_le_bytes());
        } else {
            // What more than 32 bits take, but for the bytes that only repeat the sign.
            let bytes = value.to_le_bytes();
            let sign = if value < 0 { 0xff } else { 0 };
            let mut length = bytes.len();
            while let [.., before, last] = bytes.get(..length).unwrap_or_default() {
                if *last != sign || (*before ^ sign) >= 0x80 {
                    break;
                }
                length -= 1;
            }
            // At most 8.
            self.out.extend([0x8a, u8::try_from(length).unwrap_or(8)]);
            self.out.extend(bytes.iter().take(length));
        }
    }

    /// A `str`.
    pub fn str(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        if let Ok(length) = u8::try_from(value.len()) {
            self.out.extend([b'U', length]);
        } else {
            self.out.push(b'T');
            // Our longest is a message of the log.
            self.out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.out.extend(value);
    }

    /// A `tuple` of the two values that `items` writes.
    pub fn pair(&mut self, items: impl FnOnce(&mut Self)) {
        items(self);
        self.out.push(0x86);
    }

    /// A `tuple` of what `items` writes.
    pub fn tuple(&mut self, items: impl FnOnce(&mut Self)) {
        self.out.push(b'(');
        items(self);
        self.out.push(b't');
    }

    /// A `list` of what `items` writes.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.out.extend(b"](");
        items(self);
        self.out.push(b'e');
    }

    /// `Pyro.errors.ProtocolError` with this text, in the capsule in which Pyro3's client raises it: an instance of an
    /// old-style class with the attributes `excObj` and `args`.
    pub(crate) fn protocol_error(&mut self, text: &str) {
        self.out.extend(b"(cPyro.errors\nPyroExceptionCapsule\no}(");
        self.str("excObj");
        self.out.extend(b"cPyro.errors\nProtocolError\n");
        self.str(text);
        // One argument; called; no arguments of the capsule; both attributes; built.
        self.out.extend(b"\x85R");
        self.str("args");
        self.out.extend(b"Nub");
    }
}
