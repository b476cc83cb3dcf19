// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real `plc-worker` with real PLC libraries, spoken to as the supervisor does.
#![forbid(unsafe_code)]

#[cfg(test)]
mod abi;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod running;
