// SPDX-License-Identifier: MIT OR Apache-2.0
//! What changes is told, in its order, before the answer of who changed it; and nothing is told per cycle.

use std::{collections::HashMap, path::Path, time::Duration};

use plc_api::{
    client::Client,
    key::{ApiKey, SecretText},
};
use plc_tests::{
    api::MD5,
    bus::{Bus, shown, until},
    programs,
};
use zbus::zvariant::OwnedValue;

const NONE: &str = "/dev/null";

type Changed = (String, HashMap<String, OwnedValue>, Vec<String>);

#[tokio::test]
async fn a_change_comes_before_the_reply_of_the_call_that_caused_it() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    plc.install(&programs::built("good"), MD5, Path::new(NONE)).await.unwrap();
    let mut watch = plc.watch().await;
    for (method, status) in [("Start", "Started"), ("Stop", "Stopped")] {
        plc.order(method).await.unwrap();
        let (mut told, mut changed) = (Vec::new(), HashMap::new());
        loop {
            let message = watch.next().await;
            match shown(&message).as_str() {
                "reply" => break,
                "StatusChanged" => told.push(message.body().deserialize().unwrap()),
                "PropertiesChanged" => {
                    let (_, values, _): Changed = message.body().deserialize().unwrap();
                    changed.extend(values);
                }
                _ => {}
            }
        }
        let told: Vec<(String, String)> = told;
        assert_eq!(told.last(), Some(&(status.to_owned(), String::new())), "{method}");
        let value = changed.get("Status").unwrap_or_else(|| panic!("{method}: {changed:?}"));
        assert_eq!(String::try_from(value.try_clone().unwrap()).unwrap(), status);
        assert!(changed.contains_key("StartedAt"), "{changed:?}");
    }
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_words_before_it() {
    let bus = Bus::with_supervisor("[plc]\nrestart = \"never\"\n").await;
    let plc = bus.plc().await;
    plc.install(&programs::built("segv_cycle"), MD5, Path::new(NONE)).await.unwrap();
    let mut watch = plc.watch().await;
    plc.order("Start").await.unwrap();
    let (crash, before) = watch.until("Crashed").await;
    assert!(before.contains(&"LogMessage".to_owned()), "{before:?}");
    let (reason, _core): (String, String) = crash.body().deserialize().unwrap();
    assert!(reason.contains("SIGSEGV"), "{reason}");
    let (status, _) = watch.until("StatusChanged").await;
    let (status, why): (String, String) = status.body().deserialize().unwrap();
    assert_eq!(status, "Broken");
    assert!(why.contains("SIGSEGV"), "{why}");
    assert_eq!(plc.get::<u32>("Crashes").await, 1);
    assert_eq!(plc.get::<String>("StatusReason").await, why);
}

#[tokio::test]
async fn nothing_is_told_per_cycle() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    plc.install(&programs::built("no_log"), MD5, Path::new(NONE)).await.unwrap();
    plc.order("Start").await.unwrap();
    let observer = bus.plc().await;
    let mut watch = observer.watch().await;
    let begin = plc.get::<u64>("Ticks").await;
    until("cycles", async || (plc.get::<u64>("Ticks").await > begin + 1500).then_some(())).await;
    let told: Vec<String> = watch.rest().await;
    let ours = |name: &&String| ["PropertiesChanged", "StatusChanged"].contains(&name.as_str());
    assert_eq!(told.iter().find(ours), None, "{told:?}");
}

#[tokio::test]
async fn a_flood_of_log_messages_does_not_flood_the_bus() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    plc.install(&programs::built("log_flood"), MD5, Path::new(NONE)).await.unwrap();
    let observer = bus.plc().await;
    let mut watch = observer.watch().await;
    plc.order("Start").await.unwrap();
    // Ids of messages in the order in which they are told: they have gaps, and go on.
    let (mut last, mut told, mut missing) = (HashMap::<u8, u32>::new(), 0_u32, 0_u32);
    while missing < 10_000 {
        let (message, _) = watch.until("LogMessage").await;
        let (level, id, _time, _tick, _text): (u8, u32, u64, u32, String) =
            message.body().deserialize().unwrap();
        if let Some(before) = last.insert(level, id) {
            assert!(id > before, "level {level}: {id} after {before}");
            missing += id - before - 1;
        }
        told += 1;
    }
    assert!(told < 10_000, "{told} messages told");
    // And the bus still answers.
    tokio::time::timeout(Duration::from_secs(20), plc.order("Stop")).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_is_connected_is_told() {
    let bus = Bus::with_supervisor("").await;
    let plc = bus.plc().await;
    let mut watch = plc.watch().await;
    let socket = bus.paths().api_socket();
    let [_, brought] = bus.paths().key_dirs();
    std::fs::create_dir_all(&brought).unwrap();
    std::fs::write(brought.join("key.psk"), "key:a-secret-of-a-test\n").unwrap();
    let key = ApiKey { id: "key".into(), secret: SecretText::new("a-secret-of-a-test") };
    let api = Client::connect(&socket, "test", "ann", Some(&key)).await.unwrap();
    let who = ("test".to_owned(), "ann".to_owned(), "key".to_owned());
    let (message, _) = watch.until("PropertiesChanged").await;
    let (_, values, _): Changed = message.body().deserialize().unwrap();
    assert!(values.contains_key("Connections"), "{values:?}");
    let list: Vec<(String, String, String)> = plc.get("Connections").await;
    assert_eq!(list, [who]);
    drop(api);
    until("nobody", async || {
        plc.get::<Vec<(String, String, String)>>("Connections").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hundred_clients_read_properties_while_a_program_hangs_in_its_start() {
    let config = "[plc]\nstart_timeout_ms = 5000\nstop_timeout_ms = 1000\nrestart = \"never\"\n";
    let bus = Bus::with_supervisor(config).await;
    let plc = bus.plc().await;
    plc.install(&programs::built("hang_start"), MD5, Path::new(NONE)).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(bus.plc().await);
    }
    let starting = plc.order("Start");
    let reading = async {
        let mut readers = tokio::task::JoinSet::new();
        for client in clients {
            readers.spawn(async move {
                for _ in 0..10 {
                    let status: String = client.get("Status").await;
                    assert_ne!(status, "Broken", "the start was over before everybody had read");
                }
            });
        }
        while let Some(done) = readers.join_next().await {
            done.unwrap();
        }
    };
    let (started, ()) = tokio::join!(starting, reading);
    assert_eq!(started.unwrap_err().kind, "Failed");
}
