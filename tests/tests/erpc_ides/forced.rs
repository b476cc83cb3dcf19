// SPDX-License-Identifier: MIT OR Apache-2.0
//! A forced value of each type.

use plc_tests::erpc_ide::ErpcIde;

use super::until;

/// Size of TIME, DATE, TOD and DT in programs of 64 bits before 2025-12: two `long`.
pub(crate) const TIME_OF_TWO_LONGS: usize = 16;

/// Forces every variable of the fixture `good`, whose TIME types have this size, and sees the values in the trace.
pub(crate) fn every_type_can_be_forced(ide: &mut ErpcIde, time_bytes: usize) {
    let values = values(time_bytes);
    let (texts, numbers): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|(index, _)| *index == 19);
    // A STRING is forced with its whole body and traced with what it holds.
    let text = texts[0].1[..=usize::from(texts[0].1[0])].to_vec();
    let expected: Vec<u8> =
        numbers.iter().flat_map(|(_, bytes)| bytes.clone()).chain(text).collect();
    let list = [numbers, texts].concat();
    assert!(ide.set_trace(&list).unwrap() > 0);
    until(|| {
        let (_, samples) = ide.read_trace().unwrap();
        samples.into_iter().find(|(_, data)| *data == expected)
    });
    let too_short = vec![0; time_bytes - 4];
    assert_eq!(ide.set_trace(&[(15, too_short)]).unwrap(), -3);
    assert!(ide.set_trace(&[(8, Vec::new())]).unwrap() > 0);
}

/// Index and bytes, in the order of the fixture's table.
fn values(time_bytes: usize) -> Vec<(u32, Vec<u8>)> {
    let time = |seconds: i64, nanoseconds: i64| {
        let mut bytes = seconds.to_le_bytes().to_vec();
        bytes.extend(&nanoseconds.to_le_bytes()[..time_bytes - 8]);
        bytes
    };
    let mut text = [&[6][..], b"forced"].concat();
    text.resize(127, 0);
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
        time(90, 250_000_000),
        time(1_772_064_000, 0),
        time(45_296, 250_000_000),
        time(4_102_444_800, 0),
        text,
    ];
    (0..).zip(values).collect()
}
