// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `plc_fuzz::erpc`.
#![no_main]

plc_fuzz::target!(erpc);
