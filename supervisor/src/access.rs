// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may call what. At an API socket it is the socket that decides: each connector has its own, and the file
//! permissions of the people's socket say who is one of them. On the bus it is the right that a method needs: some
//! are everybody's, some polkit grants, and where there is no polkit, being root or an operator.

use plc_api::message::{ApiError, LocalPeers, Refusal, Request};

/// An API socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `api.sock`: operators, `plcctl`.
    People,
    /// `connectors/NAME.sock`: what an IDE may do, and nothing that only an operator decides.
    Connector(&'static str),
}

/// The connector whose clients have keys.
const KEYED: &str = "pyros";

/// The connector that has a link to report and settings of its own.
const WAMP: &str = "wamp";

/// The connectors that have a socket.
pub const CONNECTORS: [&str; 3] = ["pyro", KEYED, WAMP];

impl Door {
    /// Its name in the log and in the list of connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::People => "api",
            Self::Connector(name) => name,
        }
    }

    /// The system's group whose members may come in.
    #[must_use]
    pub fn group(self) -> String {
        match self {
            Self::People => "plc".to_owned(),
            Self::Connector(name) => format!("plc-{name}"),
        }
    }

    /// The user behind a client, if only operators may be one here, and root needs not be asked about.
    #[must_use]
    pub fn must_be_operator(self, allowed: LocalPeers, user: Option<u32>) -> Option<u32> {
        match (self, allowed) {
            (Self::Connector(KEYED) | Self::People, _) | (Self::Connector(_), LocalPeers::Any) => {
                None
            }
            (Self::Connector(_), LocalPeers::Plc) => user.filter(|uid| *uid != 0),
        }
    }

    /// Whether this request exists here.
    ///
    /// # Errors
    /// [`ApiError::NotAllowed`] with the way to do it.
    pub fn allows(self, request: &Request) -> Result<(), ApiError> {
        match (self, request) {
            (Self::Connector(name), Request::Rollback) => Err(ApiError::NotAllowed(format!(
                "going back to an earlier program is the operator's decision and not possible through {name}; \
                 use `plcctl rollback`"
            ))),
            (Self::Connector(name), Request::Reload) => Err(ApiError::NotAllowed(format!(
                "reading the configuration again is the operator's decision and not possible through {name}; \
                 use `plcctl reload`"
            ))),
            (
                Self::Connector(name),
                Request::Pair { .. }
                | Request::AddKey { .. }
                | Request::ListKeys
                | Request::RevokeKey { .. }
                | Request::ShowKey { .. },
            ) => Err(ApiError::NotAllowed(format!(
                "keys are the operator's and not to be had through {name}; use `plcctl pair` and `plcctl psk`"
            ))),
            // Who comes through the one has a key, and through the other everybody in a realm.
            (Self::Connector(name @ (KEYED | WAMP)), Request::DeviceKey) => {
                Err(ApiError::NotAllowed(format!(
                    "the device's key is not told through {name}, but at the IDE port, while `plcctl pair` lets it"
                )))
            }
            (
                Self::People | Self::Connector(_),
                Request::WampSettings | Request::ReportRouter(_),
            ) if self != Self::Connector(WAMP) => Err(ApiError::NotAllowed(format!(
                "this is for the connector {WAMP} alone; its link is in `plcctl status`"
            ))),
            (Self::People, Request::DeviceKey) => {
                Err(ApiError::NotAllowed("this is for IDEs; use `plcctl psk show`".to_owned()))
            }
            (
                _,
                Request::Snapshot
                | Request::Stats
                | Request::Start
                | Request::Stop
                | Request::Repair
                | Request::Rollback
                | Request::PurgeBlobs
                | Request::SeedBlob { .. }
                | Request::AppendChunk { .. }
                | Request::Install(_)
                | Request::SetTrace(_)
                | Request::ReadTrace { .. }
                | Request::ReadLog { .. }
                | Request::ResetLog
                | Request::Reload
                | Request::Pair { .. }
                | Request::DeviceKey
                | Request::AddKey { .. }
                | Request::ListKeys
                | Request::RevokeKey { .. }
                | Request::ShowKey { .. }
                | Request::WampSettings
                | Request::ReportRouter(_),
            ) => Ok(()),
        }
    }
}

/// The answer to a user of this machine who may not use the IDE port.
#[must_use]
pub fn no_local_peer(uid: u32) -> Refusal {
    let group = Door::People.group();
    Refusal {
        reason: format!(
            "user {uid} may not use the IDE port: local_peers = \"plc\" leaves it to root and the members of the group \
             {group}: sudo adduser USER {group}"
        ),
    }
}

/// Whether the user at an API socket may see the secret of a key that exists: root, and at a desk its owner.
///
/// # Errors
/// [`ApiError::NotAllowed`] with the next step.
pub fn may_see_secrets(uid: Option<u32>) -> Result<(), ApiError> {
    let ours = rustix::process::geteuid().as_raw();
    if uid.is_some_and(|uid| uid == 0 || uid == ours) {
        return Ok(());
    }
    Err(ApiError::NotAllowed(
        "the secret of a key that exists is for root: sudo plcctl psk show ID; or make a new key: plcctl psk add ID"
            .to_owned(),
    ))
}

/// Who has asked, for the log.
#[must_use]
pub fn who(uid: Option<u32>, door: &str) -> String {
    let user = uid.map_or_else(|| "somebody".to_owned(), |uid| format!("user {uid}"));
    format!("{user} through {door}")
}

/// What a method on the bus needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read the PLC log.
    Log,
    /// Start, stop, and what else an operator does.
    Control,
    /// Install a program.
    Install,
    /// See the secret of a key.
    Secret,
}

/// Who calls on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its user, as the bus knows it.
    pub uid: u32,
    /// Whether it is a member of the operators' group.
    pub is_operator: bool,
}

/// What polkit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polkit {
    /// Go ahead.
    Granted,
    /// No.
    Denied,
    /// Not without a password, and there is no way to ask for it, or the caller does not allow it.
    WantsPassword,
    /// There is none on this machine.
    Absent,
    /// There is one, and it does not answer; says how.
    Silent(String),
}

impl Right {
    /// The action that polkit is asked about, if that is its to decide for this caller.
    #[must_use]
    pub const fn action(self, caller: Caller) -> Option<&'static str> {
        match self {
            // Root may do everything, and must be able to while polkit is broken.
            _ if caller.uid == 0 => None,
            Self::Log => None,
            Self::Control => Some("org.plcruntime1.control"),
            Self::Install => Some("org.plcruntime1.install"),
            Self::Secret => Some("org.plcruntime1.read-secret"),
        }
    }

    /// Whether this caller has this right, after polkit was asked if need be.
    ///
    /// # Errors
    /// [`ApiError::NotAllowed`] with the next step.
    pub fn granted(self, caller: Caller, polkit: &Polkit) -> Result<(), ApiError> {
        let what = match self {
            Self::Log => "reading the PLC log",
            Self::Control => "controlling the PLC",
            Self::Install => "installing a program",
            Self::Secret => return self.secret_granted(caller, polkit),
        };
        let group = Door::People.group();
        let join = format!("sudo adduser USER {group}, then log in again");
        let Some(action) = self.action(caller) else {
            if caller.uid == 0 || caller.is_operator {
                return Ok(());
            }
            return Err(ApiError::NotAllowed(format!(
                "{what} is for root and the members of the group {group}: {join}"
            )));
        };
        let reason = match polkit {
            Polkit::Granted => return Ok(()),
            Polkit::Absent if caller.is_operator => return Ok(()),
            Polkit::Absent => {
                format!("{what} is for root and the members of the group {group}: {join}")
            }
            Polkit::Denied => format!(
                "polkit does not allow you {what} ({action}); members of the group {group} may: {join}"
            ),
            Polkit::WantsPassword => format!(
                "{what} needs a password ({action}), and there was no way to ask you for it: do it as root, or \
                 become a member of the group {group}: {join}; asking takes a polkit agent (pkttyagent) and a \
                 caller that allows it (busctl does)"
            ),
            Polkit::Silent(how) => format!(
                "polkit decides on {what} ({action}) and {how}: see systemctl status polkit, or do it as root"
            ),
        };
        Err(ApiError::NotAllowed(reason))
    }

    /// Being an operator is not enough here.
    fn secret_granted(self, caller: Caller, polkit: &Polkit) -> Result<(), ApiError> {
        if caller.uid == 0 || *polkit == Polkit::Granted {
            return Ok(());
        }
        Err(ApiError::NotAllowed(
            "the secret of a key is for root, and for whom polkit lets (org.plcruntime1.read-secret): do it as root"
                .to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_is_for_people() {
        assert!(Door::People.allows(&Request::Rollback).is_ok());
        for name in CONNECTORS {
            assert!(matches!(
                Door::Connector(name).allows(&Request::Rollback),
                Err(ApiError::NotAllowed(_))
            ));
            assert!(Door::Connector(name).allows(&Request::Start).is_ok());
        }
    }

    #[test]
    fn keys_are_for_people_and_the_device_s_for_connectors_without_keys() {
        let id = || "anna".to_owned();
        for request in [
            Request::Pair { seconds: 60 },
            Request::AddKey { id: id(), secret: None },
            Request::ListKeys,
            Request::RevokeKey { id: id() },
            Request::ShowKey { id: id() },
        ] {
            assert!(Door::People.allows(&request).is_ok(), "{request:?}");
            for name in CONNECTORS {
                let refused = Door::Connector(name).allows(&request).unwrap_err();
                assert!(matches!(refused, ApiError::NotAllowed(_)), "{request:?}");
            }
        }
        assert!(Door::Connector("pyro").allows(&Request::DeviceKey).is_ok());
        assert!(Door::Connector("pyros").allows(&Request::DeviceKey).is_err());
        assert!(Door::Connector("wamp").allows(&Request::DeviceKey).is_err());
        assert!(Door::People.allows(&Request::DeviceKey).is_err());
    }

    #[test]
    fn who_of_this_machine_must_be_an_operator_is_set_for_the_port_without_keys() {
        let asked = |door: Door, allowed, user| door.must_be_operator(allowed, user);
        let pyro = Door::Connector("pyro");
        assert_eq!(asked(pyro, LocalPeers::Any, Some(1000)), None);
        assert_eq!(asked(pyro, LocalPeers::Plc, Some(1000)), Some(1000));
        assert_eq!(asked(pyro, LocalPeers::Plc, Some(0)), None);
        assert_eq!(asked(pyro, LocalPeers::Plc, None), None, "it is on another machine");
        assert_eq!(asked(Door::Connector("pyros"), LocalPeers::Plc, Some(1000)), None);
        assert_eq!(asked(Door::People, LocalPeers::Plc, Some(1000)), None);
    }

    #[test]
    fn a_secret_is_for_root_and_whom_polkit_lets() {
        assert!(may_see_secrets(Some(0)).is_ok());
        let somebody = rustix::process::geteuid().as_raw() + 1;
        assert!(may_see_secrets(Some(somebody)).is_err() && may_see_secrets(None).is_err());
        assert!(may(Right::Secret, ROOT, &Polkit::Absent));
        assert!(may(Right::Secret, ANYBODY, &Polkit::Granted));
        for no in [Polkit::Absent, Polkit::Denied, Polkit::WantsPassword] {
            assert!(!may(Right::Secret, OPERATOR, &no), "{no:?}");
        }
    }

    const ROOT: Caller = Caller { uid: 0, is_operator: false };
    const OPERATOR: Caller = Caller { uid: 1000, is_operator: true };
    const ANYBODY: Caller = Caller { uid: 65534, is_operator: false };

    fn may(right: Right, caller: Caller, polkit: &Polkit) -> bool {
        right.granted(caller, polkit).is_ok()
    }

    #[test]
    fn root_is_never_asked_about_and_may_do_everything() {
        for right in [Right::Log, Right::Control, Right::Install] {
            assert_eq!(right.action(ROOT), None);
            assert!(may(right, ROOT, &Polkit::Absent));
        }
    }

    #[test]
    fn the_log_is_for_root_and_operators_whatever_polkit_says() {
        assert_eq!(Right::Log.action(ANYBODY), None);
        assert!(may(Right::Log, OPERATOR, &Polkit::Denied));
        assert!(!may(Right::Log, ANYBODY, &Polkit::Granted));
    }

    #[test]
    fn where_there_is_polkit_it_decides_for_operators_too() {
        for right in [Right::Control, Right::Install] {
            assert!(may(right, ANYBODY, &Polkit::Granted));
            for no in [Polkit::Denied, Polkit::WantsPassword, Polkit::Silent("is mute".into())] {
                assert!(!may(right, OPERATOR, &no), "{right:?} {no:?}");
            }
        }
    }

    #[test]
    fn without_polkit_operators_may_and_others_are_told_how() {
        for right in [Right::Control, Right::Install] {
            assert!(may(right, OPERATOR, &Polkit::Absent));
            let refused = right.granted(ANYBODY, &Polkit::Absent).unwrap_err();
            assert!(matches!(refused, ApiError::NotAllowed(_)));
            assert!(refused.to_string().contains("sudo adduser USER plc"), "{refused}");
        }
    }
}
