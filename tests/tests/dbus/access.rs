// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what, with a polkit of the test's own and without one. Being other users takes root: without it, most of
//! this is left to the booted machine.

use std::{collections::HashMap, path::Path};

use plc_api::paths::bus_name;
use plc_tests::{
    api::MD5,
    bus::{Bus, INTERFACE, PATH, Plc, Refusal, User, can_be_others},
    programs,
};
use zbus::{fdo, zvariant::OwnedValue};

const CONTROL: &str = "org.plcruntime1.control";
const INSTALL: &str = "org.plcruntime1.install";
const SECRET: &str = "org.plcruntime1.read-secret";

/// Answers as it was told to for each action, with (authorised, a challenge would help).
struct Polkit(HashMap<&'static str, Verdict>);

#[derive(Clone, Copy)]
enum Verdict {
    Yes,
    No,
    /// Yes, if a password may be asked for.
    Password,
    Never,
}

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Polkit {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedValue>),
        action: String,
        _details: HashMap<String, String>,
        flags: u32,
        _cancellation: String,
    ) -> ((bool, bool, HashMap<String, String>),) {
        assert_eq!(subject.0, "system-bus-name");
        let name = String::try_from(subject.1["name"].try_clone().unwrap()).unwrap();
        assert!(name.starts_with(':'), "{name}");
        let (yes, challenge) = match self.0[action.as_str()] {
            Verdict::Yes => (true, false),
            Verdict::No => (false, false),
            Verdict::Password => (flags == 1, flags == 0),
            Verdict::Never => std::future::pending().await,
        };
        ((yes, challenge, HashMap::new()),)
    }
}

/// What may be installed is decided as what is shown.
async fn polkit(bus: &Bus, control: Verdict, install: Verdict) -> zbus::Connection {
    let polkit = Polkit(HashMap::from([(CONTROL, control), (INSTALL, install), (SECRET, install)]));
    let path = "/org/freedesktop/PolicyKit1/Authority";
    bus.serve("org.freedesktop.PolicyKit1", path, polkit).await
}

async fn install(plc: &Plc) -> Result<(), Refusal> {
    plc.install(&programs::built("good"), MD5, Path::new("/dev/null")).await.map(drop)
}

async fn log(plc: &Plc) -> Result<(), Refusal> {
    let log = plc.call::<_, Vec<(u32, u64, u32, String)>>("GetLog", &(0_u8, 0_u32, 1_u32)).await;
    log.map(drop)
}

/// The secret of the device's key.
async fn show(bus: &Bus, plc: &Plc) -> Result<(), Refusal> {
    let [own, _] = bus.paths().key_dirs();
    let file = std::fs::read_to_string(own.join("device.psk")).unwrap();
    let (id, _) = file.split_once(':').unwrap();
    plc.call::<_, String>("ShowKey", &id).await.map(drop)
}

fn assert_not_allowed(result: Result<(), Refusal>, words: &str) {
    let refused = result.expect_err("not allowed");
    assert_eq!(refused.kind, "NotAllowed", "{refused:?}");
    assert!(refused.text.contains(words), "{refused:?}");
}

/// Start is refused in this state, not to this caller.
fn assert_let_in(result: &Result<(), Refusal>) {
    let refused = result.as_ref().err().map(|refused| refused.kind.as_str());
    assert!(matches!(refused, None | Some("Refused")), "{result:?}");
}

#[tokio::test]
async fn without_polkit_root_and_operators_may_and_others_are_told_how() {
    let bus = Bus::with_supervisor("").await;
    let own = bus.plc().await;
    if !can_be_others() {
        // The test's own user is neither.
        return assert_not_allowed(own.order("Stop").await, "group plc");
    }
    for plc in [own, bus.plc_as(User::OPERATOR).await] {
        install(&plc).await.unwrap();
        for method in ["Start", "Stop", "ResetLog", "Reload", "Repair", "Rollback"] {
            plc.order(method).await.unwrap();
        }
        log(&plc).await.unwrap();
        let _: String = plc.call("Pair", &1_u32).await.unwrap();
    }
    show(&bus, &bus.plc().await).await.unwrap();
    let operator = bus.plc_as(User::OPERATOR).await;
    assert_not_allowed(show(&bus, &operator).await, "for root");
    let anybody = bus.plc_as(User::ANYBODY).await;
    assert_eq!(anybody.get::<String>("Status").await, "Stopped");
    for method in ["Start", "Stop", "Repair", "Rollback", "ResetLog", "Reload"] {
        assert_not_allowed(anybody.order(method).await, "sudo adduser USER plc");
    }
    assert_not_allowed(install(&anybody).await, "installing a program is for root");
    assert_not_allowed(log(&anybody).await, "reading the PLC log is for root");
}

/// Stands for the supervisor of another instance.
struct Another;

#[zbus::interface(name = "org.plcruntime1.Plc")]
impl Another {
    async fn start(&self) {}
}

#[tokio::test]
async fn everybody_reaches_further_instances_as_the_first_one() {
    if !can_be_others() {
        return;
    }
    let mut bus = Bus::without_daemon();
    bus.start_daemon();
    let second = bus_name("press");
    let anybody = bus.connect_as(User::ANYBODY).await;
    let start = async |name: &str| -> fdo::Result<()> {
        let _served = bus.serve(name, PATH, Another).await;
        let plc = zbus::Proxy::new(&anybody, name.to_owned(), PATH, INTERFACE).await?;
        Ok(plc.call("Start", &()).await?)
    };
    start(&second).await.unwrap();
    // Not that the test's bus lets everything through.
    let refused = start("org.plcruntime10").await.unwrap_err();
    assert!(matches!(refused, fdo::Error::AccessDenied(_)), "{refused}");
}

#[tokio::test]
async fn polkit_decides_where_it_is_and_is_asked_anew_each_time() {
    if !can_be_others() {
        return;
    }
    let bus = Bus::with_supervisor("").await;
    let root = bus.plc().await;
    let operator = bus.plc_as(User::OPERATOR).await;
    let anybody = bus.plc_as(User::ANYBODY).await;
    assert_let_in(&operator.order("Start").await);

    let denying = polkit(&bus, Verdict::No, Verdict::Yes).await;
    assert_not_allowed(operator.order("Start").await, CONTROL);
    assert_not_allowed(anybody.order("Stop").await, CONTROL);
    install(&anybody).await.unwrap();
    show(&bus, &anybody).await.unwrap();
    assert_let_in(&root.order("Start").await);
    root.order("Stop").await.unwrap();
    assert_not_allowed(log(&anybody).await, "group plc");
    log(&operator).await.unwrap();
    denying.close().await.unwrap();

    let granting = polkit(&bus, Verdict::Yes, Verdict::No).await;
    assert_let_in(&anybody.order("Start").await);
    anybody.order("Stop").await.unwrap();
    assert_not_allowed(install(&anybody).await, INSTALL);
    granting.close().await.unwrap();

    // Purged: nobody but operators and root, at once.
    assert_not_allowed(anybody.order("Start").await, "group plc");
    assert_let_in(&operator.order("Start").await);
}

#[tokio::test]
async fn a_password_is_asked_for_only_if_the_caller_allows_it() {
    if !can_be_others() {
        return;
    }
    let bus = Bus::with_supervisor("").await;
    let anybody = bus.plc_as(User::ANYBODY).await;
    let _asking = polkit(&bus, Verdict::Password, Verdict::No).await;
    assert_not_allowed(anybody.order("Stop").await, "needs a password");
    anybody.order_with_password("Reload").await.unwrap();
}

#[tokio::test]
async fn a_polkit_that_hangs_holds_up_nobody_else_and_not_for_ever() {
    if !can_be_others() {
        return;
    }
    let bus = Bus::with_supervisor("").await;
    let root = bus.plc().await;
    let anybody = bus.plc_as(User::ANYBODY).await;
    let _hanging = polkit(&bus, Verdict::Never, Verdict::Never).await;
    let waiting = anybody.order("Stop");
    let others = async {
        root.order("Reload").await.unwrap();
        root.get::<String>("Status").await
    };
    let (refused, status) = tokio::join!(waiting, others);
    assert_not_allowed(refused, "does not answer");
    assert_eq!(status, "Empty");
}

#[tokio::test]
async fn log_messages_are_told_to_root_and_operators_only() {
    if !can_be_others() {
        return;
    }
    let bus = Bus::with_supervisor("").await;
    let root = bus.plc().await;
    let operator = bus.plc_as(User::OPERATOR).await;
    let anybody = bus.plc_as(User::ANYBODY).await;
    let (mut by_root, mut by_operator, mut by_anybody) =
        (root.watch().await, operator.watch().await, anybody.watch().await);
    install(&root).await.unwrap();
    root.order("Start").await.unwrap();
    by_root.until("LogMessage").await;
    by_operator.until("LogMessage").await;
    root.order("Stop").await.unwrap();
    // The status is everybody's, and came after the messages.
    let mut before = Vec::new();
    loop {
        let (status, more) = by_anybody.until("StatusChanged").await;
        before.extend(more);
        let (status, _): (String, String) = status.body().deserialize().unwrap();
        if status == "Started" {
            break;
        }
    }
    before.extend(by_anybody.until("StatusChanged").await.1);
    assert!(!before.contains(&"LogMessage".to_owned()), "{before:?}");
}

#[tokio::test]
async fn a_caller_lends_no_files_that_are_not_its_own_to_read() {
    if !can_be_others() {
        return;
    }
    let bus = Bus::with_supervisor("").await;
    let operator = bus.plc_as(User::OPERATOR).await;
    let dir = bus.place("lent");
    std::fs::create_dir(&dir).unwrap();
    let secret = dir.join("device.psk");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let refused = operator.install(&programs::built("good"), MD5, &dir).await.unwrap_err();
    assert_eq!(refused.kind, "BadRequest");
    assert!(refused.text.contains("neither yours nor readable for everybody"), "{refused:?}");
    std::os::unix::fs::chown(&secret, Some(User::OPERATOR.uid), None).unwrap();
    operator.install(&programs::built("good"), MD5, &dir).await.unwrap();
}
