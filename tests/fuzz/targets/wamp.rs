// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `plc_fuzz::wamp`.
#![no_main]

plc_fuzz::target!(wamp);
