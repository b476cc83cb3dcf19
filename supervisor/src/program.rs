// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs on disk: transfers under way ([`blobs`]), installed ones ([`store`]), and the few calls that make a
//! change outlive a power cut ([`durable`]).

pub mod blobs;
pub mod durable;
pub mod manifest;
pub mod parcel;
pub mod store;
mod tar_file;
