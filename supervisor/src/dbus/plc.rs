// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interface `org.plcruntime1.Plc`. What its members mean stands in `systemd/dbus/org.plcruntime1.Plc.xml`; a
//! test holds the two against each other.

use std::sync::Arc;

use plc_api::{
    RELEASE,
    log::LogLevel,
    message::{ApiError, Reply, WhenRunning},
};
use zbus::{message::Header, object_server::SignalEmitter, zvariant::OwnedFd};

use super::{
    caller::{Admitted, Gate},
    error::Error,
    facts::{self, Connected},
    report::Reporter,
};
use crate::{
    access::{Right, who},
    driver::Command,
    program::parcel::Parcel,
    services::{Services, Transfer},
};

/// A message of the PLC log: id, time, tick, text.
type Message = (u32, u64, u32, String);

/// The object on the bus.
#[derive(Debug)]
pub(super) struct Plc {
    services: Arc<Services>,
    reporter: Arc<Reporter>,
    gate: Gate,
}

impl Plc {
    pub(super) fn new(services: Arc<Services>, reporter: Arc<Reporter>, gate: Gate) -> Self {
        Self { services, reporter, gate }
    }

    async fn admit(
        &self,
        right: Right,
        header: &Header<'_>,
        emitter: &SignalEmitter<'_>,
    ) -> Result<Admitted, Error> {
        Ok(self.gate.admit(right, header, emitter.connection()).await?)
    }

    /// Carries a command out, and tells what it changed.
    async fn command(
        &self,
        command: Command,
        header: &Header<'_>,
        emitter: &SignalEmitter<'_>,
    ) -> Result<(), Error> {
        let _admitted = self.admit(Right::Control, header, emitter).await?;
        let done = self.services.command(command).await;
        self.reporter.report(emitter).await?;
        Ok(done.map(drop)?)
    }

    async fn take(&self, parcel: Parcel) -> Result<Reply, ApiError> {
        self.services.may_install(WhenRunning::Refuse)?;
        let mut transfer = Transfer::new(&self.services.transfers);
        let request = transfer.on_disk(move |blobs| parcel.unpack(blobs)).await??;
        self.services.install(request, &mut transfer).await
    }
}

#[zbus::interface(name = "org.plcruntime1.Plc", introspection_docs = false)]
impl Plc {
    async fn start(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        self.command(Command::Start, &header, &emitter).await
    }

    async fn stop(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        self.command(Command::Stop, &header, &emitter).await
    }

    async fn repair(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        self.command(Command::Repair, &header, &emitter).await
    }

    async fn rollback(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        self.command(Command::Rollback, &header, &emitter).await
    }

    #[zbus(out_args("program_id"))]
    async fn install(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        program: OwnedFd,
        md5: String,
        extra_files: OwnedFd,
    ) -> Result<String, Error> {
        let admitted = self.admit(Right::Install, &header, &emitter).await?;
        let (program, extra_files) = (program.into(), extra_files.into());
        let parcel = Parcel { program, md5, extra_files, uid: admitted.caller.uid };
        let installed = self.take(parcel).await;
        self.reporter.report(&emitter).await?;
        let Reply::Installed { program_id } = installed? else {
            return Err(Error::Failed("the program has no id; see the journal".into()));
        };
        Ok(program_id)
    }

    #[zbus(out_args("messages"))]
    async fn get_log(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        level: u8,
        from: u32,
        max: u32,
    ) -> Result<Vec<Message>, Error> {
        let _admitted = self.admit(Right::Log, &header, &emitter).await?;
        let level = LogLevel::from_number(level).ok_or_else(|| {
            let levels = "0 (critical), 1 (warning), 2 (info), 3 (debug)";
            Error::BadRequest(format!("there is no level {level} in the PLC log; use {levels}"))
        })?;
        let messages = self.services.sinks.journal.read(level, from, max);
        Ok(messages.into_iter().map(|one| (one.id, one.time_us, one.tick, one.text)).collect())
    }

    async fn reset_log(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        let _admitted = self.admit(Right::Control, &header, &emitter).await?;
        self.reporter.report(&emitter).await?;
        self.services.reset_log();
        Ok(())
    }

    async fn reload(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), Error> {
        let _admitted = self.admit(Right::Control, &header, &emitter).await?;
        let done = self.services.reload().await;
        self.reporter.report(&emitter).await?;
        Ok(done.map(drop)?)
    }

    #[zbus(out_args("id"))]
    async fn pair(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        seconds: u32,
    ) -> Result<String, Error> {
        let admitted = self.admit(Right::Control, &header, &emitter).await?;
        let who = who(Some(admitted.caller.uid), "D-Bus");
        let paired = self.services.keys.pair(seconds, &who).await;
        self.reporter.report(&emitter).await?;
        Ok(paired?)
    }

    #[zbus(out_args("secret"))]
    async fn show_key(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        id: String,
    ) -> Result<String, Error> {
        let admitted = self.admit(Right::Secret, &header, &emitter).await?;
        let who = who(Some(admitted.caller.uid), "D-Bus");
        let key = self.services.keys.show(id, &who).await?;
        Ok(key.secret.reveal().to_owned())
    }

    // The name that it has on the bus is the macro's own, for the property Status.
    #[zbus(signal, name = "StatusChanged")]
    pub(super) async fn status_is(
        emitter: &SignalEmitter<'_>,
        status: &str,
        reason: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn log_message(
        emitter: &SignalEmitter<'_>,
        level: u8,
        id: u32,
        time_us: u64,
        tick: u32,
        text: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn crashed(
        emitter: &SignalEmitter<'_>,
        reason: &str,
        core: &str,
    ) -> zbus::Result<()>;

    #[zbus(property)]
    fn status(&self) -> String {
        facts::status(&self.services.now())
    }

    #[zbus(property)]
    fn status_reason(&self) -> String {
        facts::status_reason(&self.services.now())
    }

    #[zbus(property)]
    fn program_id(&self) -> String {
        facts::program_id(&self.services.now())
    }

    #[zbus(property)]
    fn program_md5(&self) -> String {
        facts::program_md5(&self.services.now())
    }

    #[zbus(property)]
    fn program_since(&self) -> u64 {
        facts::program_since(&self.services.now())
    }

    #[zbus(property)]
    fn started_at(&self) -> u64 {
        facts::started_at(&self.services.now())
    }

    #[zbus(property)]
    fn worker_pid(&self) -> u32 {
        facts::worker_pid(&self.services.now())
    }

    #[zbus(property)]
    fn crashes(&self) -> u32 {
        self.services.now().crashes
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn ticks(&self) -> u64 {
        self.services.stats().ticks
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn cycle_time(&self) -> (f64, f64, f64) {
        let time = self.services.stats().cycle_cpu_us;
        (time.min, time.avg, time.max)
    }

    #[zbus(property)]
    fn connections(&self) -> Vec<Connected> {
        facts::connections(self.services.connections.list())
    }

    #[zbus(property)]
    fn pairing_until(&self) -> u64 {
        facts::pairing_until(&self.services.now())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        RELEASE
    }
}
