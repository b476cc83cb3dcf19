// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `plc_fuzz::pyro3`.
#![no_main]

plc_fuzz::target!(pyro3);
