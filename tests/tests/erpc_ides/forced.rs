// SPDX-License-Identifier: MIT OR Apache-2.0
//! A forced value of each type, in programs whose TIME types have either size. The size is the program's, whoever debugs.

use plc_tests::erpc_ide::ErpcIde;

use super::until;

/// Bytes of TIME, DATE, TOD and DT in programs of 64 bits before 2025-12, two `long`, and since then.
const BEFORE: usize = 16;
const SINCE: usize = 12;
/// Bytes of a forced STRING; its trace ends with its text.
const STRING: usize = 127;

/// Forces every variable of the fixture `good`.
pub(crate) fn every_type(ide: &mut ErpcIde) {
    let text = [&[6][..], b"forced"].concat();
    let text = [&text[..], &vec![0; STRING - text.len()]].concat();
    let values = [
        vec![1],
        vec![0x85],
        vec![0xfe],
        vec![0xa5],
        1234_i16.to_le_bytes().to_vec(),
        54_321_u16.to_le_bytes().to_vec(),
        0xbeef_u16.to_le_bytes().to_vec(),
        (-123_456_i32).to_le_bytes().to_vec(),
        3_000_000_000_u32.to_le_bytes().to_vec(),
        0xdead_beef_u32.to_le_bytes().to_vec(),
        1.5_f32.to_le_bytes().to_vec(),
        i64::MIN.to_le_bytes().to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        0x0123_4567_89ab_cdef_u64.to_le_bytes().to_vec(),
        (-2.25_f64).to_le_bytes().to_vec(),
    ];
    values_are_forced(ide, &[&values[..], &times(BEFORE), &[text]].concat());
    assert_eq!(ide.set_trace(&[(15, times(SINCE).remove(0))]).unwrap(), -3);
}

/// Forces the variables of the fixture `time12`.
pub(crate) fn times_of_today(ide: &mut ErpcIde) {
    let values = [vec![1], 7_u32.to_le_bytes().to_vec()];
    values_are_forced(ide, &[&values[..], &times(SINCE)].concat());
    assert_eq!(ide.set_trace(&[(2, times(BEFORE).remove(0))]).unwrap(), -3);
}

/// TIME, DATE, TOD and DT of so many bytes. A TIME below zero is rounded down by IDEs, so its second part is above.
fn times(bytes: usize) -> Vec<Vec<u8>> {
    let values = [(-2, 500_000_000), (1_772_064_000, 0), (45_296, 250_000_000), (4_102_444_800, 0)];
    let time = |(seconds, nanoseconds): (i64, i64)| {
        [&seconds.to_le_bytes()[..], &nanoseconds.to_le_bytes()[..bytes - 8]].concat()
    };
    values.map(time).into()
}

/// Forces the variables from the first one on, and sees the values in the trace.
fn values_are_forced(ide: &mut ErpcIde, values: &[Vec<u8>]) {
    let list: Vec<(u32, Vec<u8>)> = (0..).zip(values.iter().cloned()).collect();
    let traced = |value: &Vec<u8>| match value.len() {
        STRING => value[..=usize::from(value[0])].to_vec(),
        _ => value.clone(),
    };
    let expected: Vec<u8> = values.iter().flat_map(traced).collect();
    assert!(ide.set_trace(&list).unwrap() > 0);
    until(|| {
        let (_, samples) = ide.read_trace().unwrap();
        samples.into_iter().find(|(_, data)| *data == expected)
    });
}
