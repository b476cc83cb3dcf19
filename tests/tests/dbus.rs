// SPDX-License-Identifier: MIT OR Apache-2.0
//! D-Bus: a supervisor on a real message bus with the shipped policy, and real clients. polkit and logind are the
//! test's own here; the real ones are met on the booted machine.

#[path = "dbus/access.rs"]
mod access;
#[path = "dbus/coming_and_going.rs"]
mod coming_and_going;
#[path = "dbus/machine_sleep.rs"]
mod machine_sleep;
#[path = "dbus/members.rs"]
mod members;
#[path = "dbus/signals.rs"]
mod signals;
