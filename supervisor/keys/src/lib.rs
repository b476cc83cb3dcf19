// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pre-shared keys: what they may look like ([`Id`], [`Secret`]), the text they are written in ([`Keys`]), and the
//! files that text lies in ([`KeyFiles`]).
//!
//! The supervisor writes such files and lists them, the connector for TLS reads them, the operator's command line brings
//! and takes single ones. The format is that of stunnel's `PSKsecrets`, of the reference runtime's `psk.txt`, and of the
//! files in which IDEs keep a PLC's key (`psk/ID.secret`) and their own (`keystore/own/default.psk`), so one file serves
//! all of them.
#![forbid(unsafe_code)]

mod files;
mod key;
mod problem;
mod read;
mod text;

pub use files::{FILE_BYTES, KeyFiles, KeySet};
pub use key::{Id, InvalidId, InvalidSecret, Key, Secret};
pub use problem::Problem;
pub use read::{keys_in, read_file, read_keys, read_stream, text_in};
pub use text::{KeyError, Keys, Reason};
