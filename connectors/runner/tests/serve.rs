// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting and ending, over real sockets.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod stub;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use plc_connector::{
    admission::RefusedUsers,
    call::PlcCall,
    listen,
    places::{CONNECTIONS_PER_SOURCE, NEWCOMERS_PER_SOURCE},
    serve::{Connection, Ended, Finished, Service, serve},
    session::Supervisor,
    stop::StopWatch,
};
use stub::{Stub, obey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

fn listener() -> (SocketAddr, Vec<TcpListener>) {
    let listeners = listen::listeners(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    (listeners[0].local_addr().unwrap(), listeners)
}

fn start(listeners: Vec<TcpListener>, idle_exit: Option<Duration>) -> JoinHandle<Finished> {
    let stop = StopWatch::new().unwrap();
    tokio::spawn(serve(service(PathBuf::from("/nowhere"), idle_exit), listeners, stop, echo))
}

fn service(socket: PathBuf, idle_exit: Option<Duration>) -> Service {
    let supervisor = Supervisor { socket, connector: "test".to_owned() };
    Service { supervisor, refused: RefusedUsers::default(), idle_exit }
}

/// Makes a call for each byte, and sends the byte back.
async fn call(connection: Connection) -> Ended {
    let mut session = connection.caller.session(None);
    let mut stream = connection.stream;
    while let Ok(byte) = stream.read_u8().await {
        let _ = session.execute(PlcCall::Status).await;
        stream.write_u8(byte).await?;
    }
    Ok(())
}

/// Sends each byte back, and is settled by the first; fails at `f`, panics at `p`.
async fn echo(connection: Connection) -> Ended {
    let mut stream = connection.stream;
    while let Ok(byte) = stream.read_u8().await {
        connection.caller.standing().settle();
        match byte {
            b'f' => return Err("failed on purpose".into()),
            b'p' => panic!("on purpose"),
            _ => stream.write_u8(byte).await?,
        }
    }
    Ok(())
}

async fn answers(stream: &mut TcpStream) -> bool {
    stream.write_u8(b'x').await.is_ok() && matches!(stream.read_u8().await, Ok(b'x'))
}

#[tokio::test]
async fn one_connection_s_failure_touches_no_other() {
    let (address, listeners) = listener();
    let _serving = start(listeners, None);
    let mut good = TcpStream::connect(address).await.unwrap();
    for byte in [b'f', b'p'] {
        let mut bad = TcpStream::connect(address).await.unwrap();
        bad.write_u8(byte).await.unwrap();
        assert!(bad.read_u8().await.is_err());
        assert!(answers(&mut good).await);
    }
}

#[tokio::test]
async fn a_source_with_all_its_places_is_refused_until_one_is_free() {
    let (address, listeners) = listener();
    let _serving = start(listeners, None);
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS_PER_SOURCE {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut stream).await);
        streams.push(stream);
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    assert!(!answers(&mut refused).await);
    // Whichever way it ends, its place is free when its stream is closed.
    let mut leaving = streams.pop().unwrap();
    leaving.write_u8(b'p').await.unwrap();
    assert!(leaving.read_u8().await.is_err());
    let trying = async { while !answers(&mut TcpStream::connect(address).await.unwrap()).await {} };
    timeout(Duration::from_secs(60), trying).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_gives_way_to_the_next_and_who_spoke_does_not() {
    let (address, listeners) = listener();
    let _serving = start(listeners, None);
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(answers(&mut first).await);
    let mut silent = Vec::new();
    for _ in 0..=NEWCOMERS_PER_SOURCE {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // Only the oldest is closed.
    assert!(silent.remove(0).read_u8().await.is_err());
    let mut last = silent.pop().unwrap();
    assert!(answers(&mut last).await);
    assert!(answers(&mut first).await);
    assert!(answers(&mut silent[0]).await);
}

#[tokio::test]
async fn a_call_settles_whom_the_supervisor_lets_in_and_nobody_else() {
    for refused in [false, true] {
        let mut stub = Stub::new(obey);
        if refused {
            stub.refuse("not you").await;
        }
        let (address, listeners) = listener();
        let stop = StopWatch::new().unwrap();
        let _serving = tokio::spawn(serve(service(stub.socket(), None), listeners, stop, call));
        let mut streams = Vec::new();
        for _ in 0..=NEWCOMERS_PER_SOURCE {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(answers(&mut stream).await);
            streams.push(stream);
        }
        assert_eq!(answers(&mut streams[0]).await, !refused);
    }
}

#[tokio::test]
async fn serving_ends_when_nobody_has_been_there_for_a_while() {
    let idle = Duration::from_millis(200);
    let (address, listeners) = listener();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut serving = start(listeners, Some(idle));
    assert!(answers(&mut stream).await);
    // While the connection is there, the time does not run.
    assert!(timeout(idle * 3, &mut serving).await.is_err());
    drop(stream);
    assert_eq!(serving.await.unwrap(), Finished::Idle);
}
