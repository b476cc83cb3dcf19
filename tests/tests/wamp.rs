// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC at a real router, Crossbar, and without one; the IDE is the real autobahn.
//!
//! `day`: what IDEs do. `trouble`: what goes wrong, how it is told, and that it heals without a restart while the PLC
//! runs on. `many`: a fleet.

#[path = "ide/day.rs"]
mod ide_day;

#[path = "wamp/day.rs"]
mod day;
#[path = "wamp/many.rs"]
mod many;
#[path = "wamp/trouble.rs"]
mod trouble;
