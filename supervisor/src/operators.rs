// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is a member of the operators' group, by the system's user database. That may be anywhere: what is here may take
//! its time.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// Whether the user is a member of this group; `known` are its groups, where somebody has told them.
///
/// # Errors
/// What the user database says.
pub(crate) fn is_operator(uid: u32, group: &str, known: Option<&[u32]>) -> Result<bool, String> {
    let group = match Group::from_name(group) {
        Ok(Some(group)) => group.gid,
        // Nobody is a member.
        Ok(None) => return Ok(false),
        Err(error) => return Err(format!("the group {group}: {error}")),
    };
    Ok(match known {
        Some(groups) => groups.contains(&group.as_raw()),
        None => groups_of(uid)?.contains(&group),
    })
}

fn groups_of(uid: u32) -> Result<Vec<Gid>, String> {
    let told = |error: nix::Error| format!("the groups of user {uid}: {error}");
    let Some(user) = User::from_uid(Uid::from_raw(uid)).map_err(told)? else {
        return Ok(Vec::new());
    };
    let name = std::ffi::CString::new(user.name).map_err(|error| error.to_string())?;
    getgrouplist(&name, user.gid).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_counts_and_otherwise_the_database() {
        assert_eq!(is_operator(0, "root", None), Ok(true));
        assert_eq!(is_operator(0, "root", Some(&[7])), Ok(false));
        assert_eq!(is_operator(12_345, "root", Some(&[7, 0])), Ok(true));
        assert_eq!(is_operator(4_000_000, "root", None), Ok(false));
        assert_eq!(is_operator(0, "no-such-group-here", None), Ok(false));
    }
}
