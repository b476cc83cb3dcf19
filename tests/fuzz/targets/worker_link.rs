// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `plc_fuzz::worker_link`.
#![no_main]

plc_fuzz::target!(worker_link);
