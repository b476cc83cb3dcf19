// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small chunks collected into large ones. The IDEs of 2024 send 4095 bytes at a time and wait for each answer, which is
//! nothing but a digest: it is computed here, and the supervisor is asked once for many chunks.
//!
//! What the supervisor then refuses, a full disk for example, is told with a later chunk or with the installation;
//! until that one is answered nothing counts as stored.

use md5::{Digest, Md5};
use plc_api::{limits, message::Request, program::BlobId};

/// Chunks this long go to the supervisor at once.
const COLLECTED_BYTES: usize = 64 << 10;
const _: () = assert!(COLLECTED_BYTES <= limits::CHUNK_BYTES);

/// The blob that is being sent, as the IDE and as the supervisor know it.
#[derive(Debug)]
pub(crate) struct Upload {
    digest: Md5,
    /// Its id after all that the IDE sent.
    id: BlobId,
    /// Its id after all that the supervisor has.
    stored: BlobId,
    /// What lies between the two.
    collected: Vec<u8>,
}

impl Upload {
    /// A blob that the supervisor has begun and named.
    pub(crate) fn begin(seed: &[u8], named: BlobId) -> Option<Self> {
        let digest = Md5::new_with_prefix(seed);
        let id = BlobId(digest.clone().finalize().into());
        (id == named).then(|| Self { digest, id, stored: id, collected: Vec::new() })
    }

    /// Takes a chunk in, if it continues this blob and there is room; the blob's new id.
    pub(crate) fn take(&mut self, blob: BlobId, chunk: &[u8]) -> Option<BlobId> {
        if blob != self.id || self.collected.len() + chunk.len() > COLLECTED_BYTES {
            return None;
        }
        self.collected.extend_from_slice(chunk);
        self.digest.update(chunk);
        self.id = BlobId(self.digest.clone().finalize().into());
        Some(self.id)
    }

    /// Whether this is the blob that the IDE means.
    pub(crate) fn is(&self, blob: BlobId) -> bool {
        blob == self.id
    }

    /// What the supervisor has yet to be sent, and the id that it must answer.
    pub(crate) fn hand_over(&mut self) -> Option<(Request, BlobId)> {
        if self.collected.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.collected);
        let blob = std::mem::replace(&mut self.stored, self.id);
        Some((Request::AppendChunk { blob, data }, self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(bytes: &[u8]) -> BlobId {
        BlobId(Md5::digest(bytes).into())
    }

    #[test]
    fn chunks_are_answered_at_once_and_handed_over_together() {
        let mut upload = Upload::begin(b"seed", md5(b"seed")).unwrap();
        assert_eq!(upload.hand_over(), None);
        let first = upload.take(md5(b"seed"), b"one").unwrap();
        assert_eq!(first, md5(b"seedone"));
        assert_eq!(upload.take(first, b"two"), Some(md5(b"seedonetwo")));
        let request = Request::AppendChunk { blob: md5(b"seed"), data: b"onetwo".to_vec() };
        assert_eq!(upload.hand_over(), Some((request, md5(b"seedonetwo"))));
        let id = upload.take(md5(b"seedonetwo"), b"three").unwrap();
        let request = Request::AppendChunk { blob: md5(b"seedonetwo"), data: b"three".to_vec() };
        assert_eq!(upload.hand_over(), Some((request, id)));
    }

    #[test]
    fn another_blob_or_too_much_is_not_taken() {
        let mut upload = Upload::begin(b"", BlobId::EMPTY).unwrap();
        assert_eq!(upload.take(md5(b"other"), b"x"), None);
        assert_eq!(upload.take(BlobId::EMPTY, &vec![0; COLLECTED_BYTES + 1]), None);
        let id = upload.take(BlobId::EMPTY, &vec![0; COLLECTED_BYTES]).unwrap();
        assert_eq!(upload.take(id, b"x"), None);
        assert!(Upload::begin(b"seed", md5(b"another")).is_none());
    }
}
