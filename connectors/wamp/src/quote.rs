// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts of others in sentences of ours.

/// Characters of a text of others that are passed on.
const CHARS: usize = 200;

/// The text, short enough, and without what a terminal would obey.
#[must_use]
pub(crate) fn quotable(text: &str) -> String {
    let harmless = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(CHARS).map(harmless).collect()
}
