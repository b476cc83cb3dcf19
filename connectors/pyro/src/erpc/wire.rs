// SPDX-License-Identifier: MIT OR Apache-2.0
//! eRPC's values: little-endian, unpadded, texts and lists with a 32-bit count in front.

use crate::codec::Malformed;

/// Reads values from a message that is wholly there.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("message too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// When the message ends before, as in every method here.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.take().map(|[byte]| byte)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// See [`Self::u8`].
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// See [`Self::u8`].
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_le_bytes)
    }

    /// A count and as many bytes.
    ///
    /// # Errors
    /// See [`Self::u8`].
    pub fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed("impossible length"))?;
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or(Malformed("message too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A count and as many bytes of UTF-8.
    ///
    /// # Errors
    /// See [`Self::u8`]; or it is not UTF-8.
    pub fn string(&mut self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.binary()?);
        Ok(text.map_err(|_| Malformed("a text is not UTF-8"))?.to_owned())
    }

    /// A count and as many elements. Memory is taken for elements that are there, not for the count.
    ///
    /// # Errors
    /// See [`Self::u8`].
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// When there is.
    pub const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("message too long")) }
    }
}

/// Writes values.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// Eight bytes, unsigned.
    pub fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    /// Four bytes, signed.
    pub fn i32(&mut self, value: i32) {
        self.0.extend(value.to_le_bytes());
    }

    /// A count and as many bytes. What we send is far shorter than the count can say.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend(bytes);
    }
}
