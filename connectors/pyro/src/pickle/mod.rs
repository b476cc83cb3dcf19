// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pickle, protocol 2, as far as Python values go (CPython 2.7, `Lib/pickletools.py`).
//!
//! [`read()`] understands exactly the instructions that the IDEs' pickler can write, the memo included, and never looks
//! up a class or a function: the one name it knows, `datetime.timedelta`, is a value to it. [`Writer`] writes plain
//! values without memo, and the one kind of exception that IDEs get.
//!
//! Why no crate: serde-pickle 1.2, the one that is kept, reads all protocols and executes nothing either, but has no
//! bound on depth, number of values or what the memo multiplies (its user gets a tree of copies, through recursion),
//! does not know `timedelta`, cannot write an exception, and brings big integers along. Bounds are what a reader of
//! foreign bytes is for, and what would be left of the crate is two dozen instructions.

mod read;
mod write;

pub use read::read;
pub use write::Writer;

#[cfg(test)]
mod tests;
