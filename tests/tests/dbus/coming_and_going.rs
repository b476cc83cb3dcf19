// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bus that comes, goes and comes again, or never does, does not concern the PLC.

use std::{fs, path::Path};

use plc_api::client::Client;
use plc_tests::{
    api::MD5,
    bus::{Bus, NAME, PATH, Plc, User, can_be_others},
    programs,
};
use zbus::fdo::{DBusProxy, RequestNameFlags};

const NONE: &str = "/dev/null";

fn descriptors(bus: &Bus) -> usize {
    fs::read_dir(format!("/proc/{}/fd", bus.supervisor())).unwrap().count()
}

#[tokio::test]
async fn a_bus_that_is_killed_and_started_again_is_served_again() {
    let mut bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    plc.install(&programs::built("good"), MD5, Path::new(NONE)).await.unwrap();
    plc.order("Start").await.unwrap();
    let worker = plc.get::<u32>("WorkerPid").await;
    drop(plc);
    let mut before = None;
    for _ in 0..5 {
        bus.kill_daemon();
        bus.start_daemon();
        let plc = bus.plc().await;
        plc.wait_until_served().await;
        assert_eq!(plc.get::<u32>("WorkerPid").await, worker);
        assert_eq!(plc.get::<String>("Status").await, "Started");
        let now = descriptors(&bus);
        assert_eq!(*before.get_or_insert(now), now, "descriptors");
    }
    bus.plc().await.order("Stop").await.unwrap();
}

#[tokio::test]
async fn without_a_bus_everything_else_works_and_it_is_said_once() {
    let mut bus = Bus::without_daemon();
    bus.start_supervisor("");
    bus.wait_log("not on D-Bus").await;
    let api = Client::connect(&bus.paths().api_socket(), "test", "", None).await.unwrap();
    drop(api);
    bus.wait_log("no D-Bus yet").await;
    bus.start_daemon();
    bus.plc().await.wait_until_served().await;
    assert_eq!(bus.log().matches("not on D-Bus").count(), 1, "{}", bus.log());
}

#[tokio::test]
async fn a_name_that_another_has_is_waited_for() {
    let mut bus = Bus::without_daemon();
    bus.start_daemon();
    let other = bus.connect().await;
    let flags = RequestNameFlags::DoNotQueue;
    other.request_name_with_flags(NAME, flags.into()).await.unwrap();
    bus.start_supervisor("");
    bus.wait_log("another process has the name org.plcruntime1").await;
    other.release_name(NAME).await.unwrap();
    bus.plc().await.wait_until_served().await;
}

#[tokio::test]
async fn nobody_else_takes_the_name_or_pretends_that_it_was_lost() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    let flags = RequestNameFlags::ReplaceExisting | RequestNameFlags::DoNotQueue;
    assert!(bus.connect().await.request_name_with_flags(NAME, flags).await.is_err());
    if can_be_others() {
        let anybody = bus.connect_as(User::ANYBODY).await;
        assert!(anybody.request_name(NAME).await.is_err());
        assert!(anybody.request_name("org.plcruntime1.x").await.is_err());
    }
    let owner = DBusProxy::new(&plc.connection).await.unwrap();
    let before = owner.get_name_owner(NAME.try_into().unwrap()).await.unwrap();
    let pretends = bus.connect().await;
    for _ in 0..10 {
        let path = "/org/freedesktop/DBus";
        pretends
            .emit_signal(Some(NAME), path, "org.freedesktop.DBus", "NameLost", &NAME)
            .await
            .unwrap();
    }
    // The answer to a later call of the same sender says that the signals were taken in.
    Plc::on(pretends).await.order("Stop").await.unwrap();
    let after = owner.get_name_owner(NAME.try_into().unwrap()).await.unwrap();
    assert_eq!(before, after);
    assert!(!bus.log().contains("D-Bus is gone"));
}

#[tokio::test]
async fn the_name_goes_with_the_supervisor_and_no_message_starts_it() {
    let mut bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    bus.stop_supervisor();
    let refused = plc.order("Start").await.unwrap_err();
    assert_eq!(refused.kind, "org.freedesktop.DBus.Error.ServiceUnknown", "{PATH}: {refused:?}");
}
