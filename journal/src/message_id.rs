// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kinds of entries that people look for, as `MESSAGE_ID=` of systemd.journal-fields(7).
//!
//! An event with the field `message_id` says everything in its sentence, so text on standard error shows only that;
//! its other fields are for those who search. `systemd/plc-runtime.catalog` explains each to `journalctl -x`.

macro_rules! message_ids {
    ($($(#[$doc:meta])+ $name:ident = $id:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $id;)+
        /// All of them.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

message_ids! {
    /// The PLC's state has changed.
    STATE = "00142f58b59d4897919669c49fc62a23";
    /// A program ended by itself, or had to be ended.
    CRASH = "00efd25236104426a53fffc57a66b6b7";
    /// A message of the PLC log.
    PLC_MESSAGE = "0807c7ee2385475ba7d1222ee8018ee9";
    /// Messages of the program that are in the PLC log only, because there were too many.
    LEFT_OUT = "af2d4e6c702440bdaa18499562608189";
    /// Somebody asked for what is not theirs to ask for.
    ACCESS_REFUSED = "b74c5922f5c643708c722e6861eef62c";
    /// The configuration cannot be used.
    CONFIGURATION = "4d195135c79c4947861e93cb460dfc54";
    /// What the configuration or the program asks of WAMP cannot be done as it was asked for.
    WAMP_SETTINGS = "f5e16d8f57dc45119461e5a277de6dfe";
    /// A newer release is installed and waits until no program runs.
    UPGRADE_WAITS = "2ff0ad7689664cffa82f767f1da53bda";
    /// A key was made, told or revoked, or pairing was opened.
    KEY = "7d1f5b0c6f1e4c0d9a5b3e2f8c47a916";
    /// The supervisor before this one did not end in order.
    UNCLEAN_END = "0b0abc09800e44129abc6bfbde1e2f2e";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    const CATALOG: &str = include_str!("../../systemd/plc-runtime.catalog");

    #[test]
    fn the_catalog_explains_each_kind_once_and_nothing_else() {
        let mut explained: Vec<&str> =
            CATALOG.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        explained.sort_unstable();
        let mut all = ALL.to_vec();
        all.sort_unstable();
        assert_eq!(explained, all);
    }

    #[test]
    fn each_explanation_has_a_subject_and_a_text() {
        for entry in CATALOG.split("\n-- ").skip(1) {
            let (head, text) = entry.split_once("\n\n").unwrap();
            assert!(head.contains("\nSubject: "), "{entry}");
            assert!(text.trim().len() > 40, "{entry}");
        }
    }
}
