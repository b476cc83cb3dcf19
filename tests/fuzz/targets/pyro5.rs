// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `plc_fuzz::pyro5`.
#![no_main]

plc_fuzz::target!(pyro5);
