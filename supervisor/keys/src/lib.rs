// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pre-shared keys: what they may look like ([`Id`], [`Secret`]), the text they are written in ([`Keys`]), and the
//! files that text lies in ([`KeyFiles`]).
//!
//! The supervisor writes such files and lists them, the connector for TLS reads them. The format is that of stunnel's
//! `PSKsecrets`, so one file serves both.
#![forbid(unsafe_code)]

mod files;
mod key;
mod text;

pub use files::{FILE_BYTES, KeyFiles, KeySet, Problem};
pub use key::{Id, InvalidId, InvalidSecret, Key, Secret};
pub use text::{KeyError, Keys, Reason};
