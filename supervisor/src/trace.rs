// SPDX-License-Identifier: MIT OR Apache-2.0
//! Collected trace samples, the debug token and its lease.
//!
//! The last client to set a list owns debugging; the others learn it from the token. List, forces and token belong to
//! the program that was installed when the list was set: they name variables by index, and in another program the same
//! index is another variable. Samples wait in a ring
//! bounded in bytes, oldest dropped first and counted. An owner that asks for nothing for
//! [`limits::TRACE_LEASE`] loses the samples and the sampling, not the forces; its next question resumes it.
//! Time arrives with each call.

use std::{collections::VecDeque, time::Instant};

use plc_api::{
    limits,
    plc::PlcStatus,
    trace::{TraceBatch, TraceSample, TraceVariable},
};

/// Everything about tracing that outlives a worker.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    token: u32,
    /// The connection that has set the list.
    owner: u64,
    /// The id of the installed program, to which the list belongs.
    program: Option<String>,
    list: Vec<TraceVariable>,
    lease: Lease,
    samples: VecDeque<TraceSample>,
    bytes: usize,
    dropped: u64,
    received_total: u64,
    dropped_total: u64,
    worker_dropped: u64,
    /// Of the program that was loaded last, as its worker reports it; 0: not known.
    time_bytes: u8,
    /// Lists given to the program whose mark has not come back yet: until then samples belong to an older one.
    unmarked: u32,
}

#[derive(Debug, Default)]
enum Lease {
    /// Nobody traces.
    #[default]
    None,
    /// Somebody traces, and asked for samples last at this time.
    Live(Instant),
    /// Somebody traced and fell silent.
    Lapsed,
}

/// What a client's question for samples came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The samples so far.
    Batch(TraceBatch),
    /// The samples so far; and sampling must be switched on again.
    Resume(TraceBatch),
    /// The token is another client's, or of another program.
    TokenLost,
}

impl Trace {
    /// A client sets a list; gives it the new token.
    pub(crate) fn take_over(&mut self, list: Vec<TraceVariable>, owner: u64, now: Instant) -> u32 {
        self.owner = owner;
        self.lease = if list.is_empty() { Lease::None } else { Lease::Live(now) };
        self.list = list;
        self.clear();
        self.renew_token();
        self.token
    }

    /// The installed program is this one; `None`: there is none. If it is another one than before, the list ends, with
    /// its forces, and its token is no longer accepted.
    pub(crate) fn program_is(&mut self, id: Option<&str>) {
        if self.program.as_deref() == id {
            return;
        }
        self.program = id.map(str::to_owned);
        if !self.list.is_empty() {
            self.list = Vec::new();
            self.lease = Lease::None;
            self.clear();
            self.renew_token();
        }
    }

    fn renew_token(&mut self) {
        // 0 is no token, and the IDEs take negative numbers for errors.
        self.token = if self.token >= 0x7fff_ffff { 1 } else { self.token + 1 };
    }

    /// Whether the list that counts was set over this connection, and holds anything.
    #[must_use]
    pub(crate) fn is_owned_by(&self, owner: u64) -> bool {
        self.owner == owner && !self.list.is_empty()
    }

    /// The list was given to the program, which will mark the change among the samples.
    pub(crate) fn list_given(&mut self) {
        self.unmarked += 1;
    }

    /// The list did not reach the program after all: no mark will come.
    pub(crate) fn list_not_given(&mut self) {
        self.unmarked = self.unmarked.saturating_sub(1);
    }

    /// The list to give to a program that has just started: that of a client that is still there.
    #[must_use]
    pub(crate) fn live_list(&self) -> Option<Vec<TraceVariable>> {
        matches!(self.lease, Lease::Live(_)).then(|| self.list.clone())
    }

    /// Samples came from the worker.
    pub(crate) fn push(&mut self, samples: Vec<TraceSample>) {
        if samples.is_empty() {
            self.unmarked = self.unmarked.saturating_sub(1);
        }
        for sample in samples {
            self.received_total += 1;
            let live = matches!(self.lease, Lease::Live(_)) && self.unmarked == 0;
            if !live || sample.data.is_empty() {
                continue;
            }
            self.bytes += cost(&sample);
            self.samples.push_back(sample);
        }
        while self.bytes > limits::TRACE_RING_BYTES {
            let Some(oldest) = self.samples.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(cost(&oldest));
            self.drop_some(1);
        }
    }

    /// The worker says how many samples it had to drop, since its start, before they came here.
    pub(crate) fn set_worker_dropped(&mut self, total: u64) {
        let news = total.saturating_sub(self.worker_dropped);
        self.worker_dropped = total;
        self.drop_some(news);
    }

    fn drop_some(&mut self, count: u64) {
        self.dropped += count;
        self.dropped_total += count;
    }

    /// A client takes what has been collected, up to `max_bytes`.
    pub(crate) fn read(
        &mut self,
        token: Option<u32>,
        max_bytes: usize,
        status: PlcStatus,
        now: Instant,
    ) -> Read {
        if token.is_some_and(|token| token != self.token) {
            return Read::TokenLost;
        }
        let resume = matches!(self.lease, Lease::Lapsed);
        if !matches!(self.lease, Lease::None) {
            self.lease = Lease::Live(now);
        }
        let mut room = max_bytes.min(limits::TRACE_REPLY_BYTES);
        let mut samples = Vec::new();
        while self.samples.front().is_some_and(|sample| cost(sample) <= room) {
            let Some(sample) = self.samples.pop_front() else {
                break;
            };
            room -= cost(&sample);
            self.bytes = self.bytes.saturating_sub(cost(&sample));
            samples.push(sample);
        }
        let dropped = std::mem::take(&mut self.dropped);
        let batch = TraceBatch { status, samples, dropped, more: !self.samples.is_empty() };
        if resume { Read::Resume(batch) } else { Read::Batch(batch) }
    }

    /// When the owner will have been silent for too long.
    #[must_use]
    pub(crate) fn lease_ends(&self) -> Option<Instant> {
        match self.lease {
            Lease::Live(last) => Some(last + limits::TRACE_LEASE),
            Lease::None | Lease::Lapsed => None,
        }
    }

    /// Ends the lease if its time has come; true if it did.
    pub(crate) fn lapse(&mut self, now: Instant) -> bool {
        let lapsed = self.lease_ends().is_some_and(|end| end <= now);
        if lapsed {
            self.lease = Lease::Lapsed;
            self.clear();
        }
        lapsed
    }

    /// A program was loaded whose TIME has so many bytes; 0: not known.
    pub(crate) fn set_time_bytes(&mut self, bytes: u8) {
        self.time_bytes = bytes;
    }

    /// Bytes of a TIME in the program that was loaded last; 0: not known.
    #[must_use]
    pub(crate) fn time_bytes(&self) -> u8 {
        self.time_bytes
    }

    /// A program starts: its figures begin at 0.
    pub(crate) fn begin(&mut self) {
        self.received_total = 0;
        self.dropped_total = 0;
        self.worker_dropped = 0;
        self.unmarked = 0;
    }

    /// Samples received, samples dropped, since the program started.
    #[must_use]
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.received_total, self.dropped_total)
    }

    fn clear(&mut self) {
        self.samples.clear();
        self.bytes = 0;
        self.dropped = 0;
    }
}

fn cost(sample: &TraceSample) -> usize {
    sample.data.len() + limits::TRACE_SAMPLE_OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn list() -> Vec<TraceVariable> {
        vec![TraceVariable { index: 1, force: None }]
    }

    fn sample(tick: u32, bytes: usize) -> TraceSample {
        TraceSample { tick, data: vec![0; bytes] }
    }

    fn ticks(read: Read) -> Vec<u32> {
        match read {
            Read::Batch(batch) | Read::Resume(batch) => {
                batch.samples.iter().map(|s| s.tick).collect()
            }
            Read::TokenLost => panic!("token lost"),
        }
    }

    #[test]
    fn each_sample_is_handed_out_once_and_in_order_whatever_the_room() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        let token = trace.take_over(list(), 1, now);
        trace.push((0..100).map(|tick| sample(tick, 7)).collect());
        let mut seen = Vec::new();
        loop {
            let read = trace.read(
                Some(token),
                3 * (7 + limits::TRACE_SAMPLE_OVERHEAD) + 1,
                PlcStatus::Started,
                now,
            );
            let got = ticks(read);
            if got.is_empty() {
                break;
            }
            assert!(got.len() <= 3);
            seen.extend(got);
        }
        assert_eq!(seen, (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn the_second_client_takes_the_token_over() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        let first = trace.take_over(list(), 1, now);
        let second = trace.take_over(list(), 1, now);
        assert_eq!((first, second), (1, 2));
        assert_eq!(trace.read(Some(first), 100, PlcStatus::Started, now), Read::TokenLost);
        assert_ne!(trace.read(Some(second), 100, PlcStatus::Started, now), Read::TokenLost);
    }

    #[test]
    fn a_list_is_of_the_connection_that_set_it_until_another_does_or_it_is_empty() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        trace.take_over(list(), 7, now);
        assert!(trace.is_owned_by(7) && !trace.is_owned_by(8));
        trace.take_over(list(), 8, now);
        assert!(!trace.is_owned_by(7));
        trace.take_over(Vec::new(), 8, now);
        assert!(!trace.is_owned_by(8));
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_counts_them() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        let token = trace.take_over(list(), 1, now);
        let cost = 4000 + limits::TRACE_SAMPLE_OVERHEAD;
        let fits = limits::TRACE_RING_BYTES / cost;
        trace.push((0..1000).map(|tick| sample(tick, 4000)).collect());
        let Read::Batch(batch) = trace.read(Some(token), usize::MAX, PlcStatus::Started, now)
        else {
            panic!("no batch");
        };
        assert_eq!(batch.dropped, u64::try_from(1000 - fits).unwrap());
        assert_eq!(batch.samples[0].tick, u32::try_from(1000 - fits).unwrap());
        assert!(batch.more);
    }

    #[test]
    fn a_silent_owner_loses_samples_and_sampling_and_the_next_question_resumes_it() {
        let (mut trace, start) = (Trace::default(), Instant::now());
        let token = trace.take_over(list(), 1, start);
        trace.push(vec![sample(1, 1)]);
        assert!(!trace.lapse(start + limits::TRACE_LEASE - Duration::from_millis(1)));
        assert!(trace.lapse(start + limits::TRACE_LEASE));
        trace.push(vec![sample(2, 1)]);
        let now = start + 2 * limits::TRACE_LEASE;
        let read = trace.read(Some(token), 1000, PlcStatus::Started, now);
        assert!(matches!(&read, Read::Resume(batch) if batch.samples.is_empty()), "{read:?}");
        trace.push(vec![sample(3, 1)]);
        assert_eq!(ticks(trace.read(Some(token), 1000, PlcStatus::Started, now)), [3]);
    }

    #[test]
    fn samples_of_an_older_list_are_not_handed_out() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        let token = trace.take_over(list(), 1, now);
        trace.list_given();
        trace.push(vec![sample(1, 1)]);
        trace.push(vec![]);
        trace.push(vec![sample(2, 1)]);
        assert_eq!(ticks(trace.read(Some(token), 1000, PlcStatus::Started, now)), [2]);
        trace.take_over(list(), 1, now);
        trace.list_given();
        trace.list_not_given();
        trace.push(vec![sample(3, 1)]);
        assert_eq!(ticks(trace.read(None, 1000, PlcStatus::Started, now)), [3]);
    }

    #[test]
    fn an_empty_list_ends_tracing() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        trace.take_over(list(), 1, now);
        assert!(trace.live_list().is_some());
        trace.take_over(Vec::new(), 1, now);
        assert!(trace.live_list().is_none());
        assert_eq!(trace.lease_ends(), None);
    }

    #[test]
    fn a_list_ends_with_its_program_and_its_token_is_lost() {
        let (mut trace, now) = (Trace::default(), Instant::now());
        trace.program_is(Some("000001-a"));
        let token = trace.take_over(list(), 1, now);
        trace.program_is(Some("000001-a"));
        assert!(trace.live_list().is_some(), "the same program keeps it");
        trace.push(vec![sample(1, 1)]);
        trace.program_is(Some("000002-b"));
        assert!(trace.live_list().is_none());
        assert!(!trace.is_owned_by(1));
        assert_eq!(trace.read(Some(token), 100, PlcStatus::Started, now), Read::TokenLost);
        trace.program_is(Some("000001-a"));
        assert!(trace.live_list().is_none(), "it does not come back with its program");
        assert!(ticks(trace.read(None, 100, PlcStatus::Started, now)).is_empty());
    }

    /// What happens to tracing from outside.
    #[derive(Clone, Debug)]
    enum Event {
        Program(Option<u8>),
        Set { owner: u64, force: Option<u8> },
        Read { owner: u64 },
        Silence,
        Start,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            proptest::option::of(0..3_u8).prop_map(Event::Program),
            (1..3_u64, proptest::option::of(any::<u8>()))
                .prop_map(|(owner, force)| Event::Set { owner, force }),
            (1..3_u64).prop_map(|owner| Event::Read { owner }),
            Just(Event::Silence),
            Just(Event::Start),
        ]
    }

    proptest! {
        /// Whatever happens, a program is given only what was set for it, and no token outlives its program.
        #[test]
        fn a_program_gets_only_lists_that_were_set_for_it(events in prop::collection::vec(event(), 1..60)) {
            let (mut trace, mut now) = (Trace::default(), Instant::now());
            let mut installed = None;
            // The last list, and the program that it was set for.
            let mut last: Option<(Option<u8>, Vec<TraceVariable>)> = None;
            // Each client's token, and the program that it was given for.
            let mut tokens = [None; 3];
            for event in events {
                match event {
                    Event::Program(program) => {
                        installed = program;
                        trace.program_is(program.map(|id| format!("{id:06}-x")).as_deref());
                        let same = |set: &(Option<u8>, Vec<TraceVariable>)| set.0 == program;
                        last = last.filter(same);
                    }
                    Event::Set { owner, force } => {
                        let force = force.map(|value| vec![value].into());
                        let list = vec![TraceVariable { index: 3, force }];
                        let token = trace.take_over(list.clone(), owner, now);
                        tokens[usize::try_from(owner).unwrap()] = Some((token, installed));
                        last = Some((installed, list));
                    }
                    Event::Read { owner } => {
                        if let Some((token, program)) = tokens[usize::try_from(owner).unwrap()] {
                            let read = trace.read(Some(token), 1000, PlcStatus::Started, now);
                            prop_assert!(read == Read::TokenLost || program == installed);
                        }
                    }
                    Event::Silence => {
                        now += 2 * limits::TRACE_LEASE;
                        trace.lapse(now);
                    }
                    Event::Start => {
                        trace.begin();
                        if let Some(given) = trace.live_list() {
                            prop_assert_eq!(Some((installed, given)), last.clone());
                        }
                    }
                }
            }
        }
    }
}
