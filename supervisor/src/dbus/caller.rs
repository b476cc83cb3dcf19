// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds out who calls, and what polkit thinks of it; `access.rs` decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

use plc_api::message::ApiError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use zbus::{
    Connection,
    fdo::{ConnectionCredentials, DBusProxy},
    message::{Flags, Header},
    names::BusName,
    zvariant::Value,
};

use crate::{
    access::{Caller, Polkit, Right},
    operators::is_operator,
    refusals,
};

/// Methods that may be under way at once; each may hold files and wait for the PLC.
const CALLS: usize = 64;
/// How long the bus may take to say who called.
const WHO: Duration = Duration::from_secs(10);
/// How long polkit may take to decide by itself; the bus may have to start it first.
const DECIDES: Duration = Duration::from_secs(15);
/// How long a person may take to type a password.
const ASKS: Duration = Duration::from_secs(120);
/// polkit, D-Bus API reference, `CheckAuthorizationFlags`.
const ALLOW_USER_INTERACTION: u32 = 1;
/// What the bus answers when there is nobody to ask, and nobody can be started for it. Access is denied to a polkit
/// that was removed with its bus policy and still runs; the two of systemd tell of units left over or masked.
const NOBODY: [&str; 6] = [
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.systemd1.UnitMasked",
];

/// polkit's answer: authorised, a challenge would help, details.
type Answer = (bool, bool, HashMap<String, String>);

/// Lets callers in, or not.
#[derive(Debug)]
pub(super) struct Gate {
    group: String,
    room: Arc<Semaphore>,
}

/// A caller that was let in; it counts as long as this lives.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) caller: Caller,
    _room: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate for the operators of this group of the system.
    pub(super) fn new(group: String) -> Self {
        Self { group, room: Arc::new(Semaphore::new(CALLS)) }
    }

    /// Whether the sender of a call may have this right.
    ///
    /// # Errors
    /// [`ApiError::NotAllowed`] with the next step; [`ApiError::Failed`] when too many calls are under way.
    pub(super) async fn admit(
        &self,
        right: Right,
        header: &Header<'_>,
        connection: &Connection,
    ) -> Result<Admitted, ApiError> {
        let room = self.room.clone().try_acquire_owned();
        let room =
            room.map_err(|_| ApiError::Failed("too many calls at once; try later".into()))?;
        let caller = timeout(WHO, self.caller(header, connection)).await;
        let caller =
            caller.unwrap_or_else(|_| Err("the bus does not answer".into())).map_err(|why| {
                ApiError::NotAllowed(format!("it cannot be found out who you are: {why}"))
            })?;
        let call = header.member().map(|member| member.as_str());
        tracing::debug!(call, uid = caller.uid, "D-Bus call");
        let polkit = match right.action(caller) {
            Some(action) => ask_polkit(action, header, connection).await,
            None => Polkit::Absent,
        };
        right
            .granted(caller, &polkit)
            .inspect_err(|error| refusals::tell(error, "D-Bus", Some(caller.uid)))?;
        Ok(Admitted { caller, _room: room })
    }

    async fn caller(&self, header: &Header<'_>, connection: &Connection) -> Result<Caller, String> {
        let told = |error: zbus::Error| error.to_string();
        let sender = header.sender().ok_or("the call has no sender")?;
        let bus = DBusProxy::new(connection).await.map_err(told)?;
        let sender = BusName::Unique(sender.to_owned());
        let credentials = bus.get_connection_credentials(sender).await;
        let credentials = credentials.map_err(|error| error.to_string())?;
        let group = self.group.clone();
        // The user database may be anywhere.
        let found = tokio::task::spawn_blocking(move || find_caller(&credentials, &group));
        found.await.map_err(|error| error.to_string())?
    }
}

fn find_caller(credentials: &ConnectionCredentials, group: &str) -> Result<Caller, String> {
    let uid = credentials.unix_user_id().ok_or("the bus does not know your user")?;
    let is_operator = is_operator(uid, group, credentials.unix_group_ids().map(Vec::as_slice))?;
    Ok(Caller { uid, is_operator })
}

/// Asks anew each time: polkit may come and go while we run.
async fn ask_polkit(action: &str, header: &Header<'_>, connection: &Connection) -> Polkit {
    let interactive = header.primary().flags().contains(Flags::AllowInteractiveAuth);
    let (flags, patience) =
        if interactive { (ALLOW_USER_INTERACTION, ASKS) } else { (0_u32, DECIDES) };
    let sender = header.sender().map(|sender| sender.as_str()).unwrap_or_default();
    let subject = ("system-bus-name", HashMap::from([("name", Value::from(sender))]));
    let details: HashMap<&str, &str> = HashMap::new();
    let body = (subject, action, details, flags, "");
    let asked = connection.call_method(
        Some("org.freedesktop.PolicyKit1"),
        "/org/freedesktop/PolicyKit1/Authority",
        Some("org.freedesktop.PolicyKit1.Authority"),
        "CheckAuthorization",
        &body,
    );
    let answer = match timeout(patience, asked).await {
        Ok(Ok(reply)) => reply.body().deserialize::<Answer>(),
        Ok(Err(zbus::Error::MethodError(name, _, _))) if NOBODY.contains(&name.as_str()) => {
            return Polkit::Absent;
        }
        Ok(Err(error)) => Err(error),
        Err(_) => return Polkit::Silent("does not answer".into()),
    };
    match answer {
        Ok((true, _, _)) => Polkit::Granted,
        Ok((false, true, _)) => Polkit::WantsPassword,
        Ok((false, _, _)) => Polkit::Denied,
        Err(error) => Polkit::Silent(format!("failed ({error})")),
    }
}
