use super::*;
use crate::proxy::frames::tests::frame;
use crate::proxy::frames::{DATA, END_HEADERS, Passing, RST_STREAM, Scanner};
use proptest::prelude::*;

/// Lets bytes pass in pieces.
fn pass(heads: &mut Heads, bytes: &[u8], step: usize) {
    let mut scanner = Scanner::after(0);
    for piece in bytes.chunks(step) {
        scanner.pass(piece, |passing| match passing {
            Passing::Frame(frame) => drop(heads.begin(frame)),
            Passing::Payload(payload) => heads.pass(payload),
        });
    }
}

/// A head of so many fields that are named by a byte.
fn named(stream: u32, fields: usize) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &vec![0xbe; fields])
}

#[test]
fn fields_are_counted_in_each_of_their_forms() {
    let long = |start: &[u8], length: usize| [start, &vec![b'a'; length]].concat();
    let fields: Vec<(Vec<u8>, u32)> = vec![
        (vec![0x82], 1),
        (vec![0xbe; 3], 3),
        // An index of several bytes.
        (vec![0xff, 0x00], 1),
        (vec![0xff, 0x80, 0x01], 1),
        // A known name, with a value: kept, not kept, never kept.
        (b"\x41\x03abc".to_vec(), 1),
        (b"\x04\x83\xff\xff\xff".to_vec(), 1),
        (b"\x14\x00".to_vec(), 1),
        (b"\x7f\x05\x01a".to_vec(), 1),
        (b"\x0f\x85\x01\x01a".to_vec(), 1),
        // A name of its own.
        (b"\x40\x02ab\x03abc".to_vec(), 1),
        (b"\x00\x00\x00".to_vec(), 1),
        (b"\x10\x01a\x00".to_vec(), 1),
        // Texts whose lengths take several bytes.
        (long(b"\x44\x7f\x00", 127), 1),
        (long(b"\x44\xff\xad\x01", 127 + 173), 1),
        // A new size of the table.
        (vec![0x20], 0),
        (vec![0x3f, 0xe1, 0x1f], 0),
    ];
    for (bytes, expected) in &fields {
        let mut heads = Heads::new(100);
        pass(
            &mut heads,
            &frame(
                HEADERS,
                END_HEADERS,
                1,
                &[bytes.as_slice(), &[0xbe]].concat(),
            ),
            1,
        );
        assert_eq!(heads.block.fields, expected + 1, "{bytes:x?}");
        assert_eq!(heads.block.bytes as usize, bytes.len() + 1);
    }
    let count: u32 = fields.iter().map(|(_, count)| count).sum();
    let all: Vec<u8> = fields.into_iter().flat_map(|(bytes, _)| bytes).collect();
    for at in 0..=all.len() {
        let (one, other) = all.split_at(at);
        let begun = [b"\x04weigh".as_slice(), one, &[0xff; 4]].concat();
        let bytes = [
            frame(HEADERS, PADDED | PRIORITY, 1, &begun),
            frame(CONTINUATION, END_HEADERS | PADDED, 1, other),
            frame(DATA, 0, 1, &[0xbe; 50]),
        ]
        .concat();
        for step in [1, 2, 7, bytes.len()] {
            let mut heads = Heads::new(100);
            pass(&mut heads, &bytes, step);
            let block = &heads.block;
            assert_eq!(
                (block.fields, block.bytes as usize),
                (count, all.len()),
                "{at}"
            );
        }
    }
}

#[test]
fn as_many_heads_as_streams_may_have_what_clients_send() {
    let mut heads = Heads::new(100);
    for number in 0..100 {
        pass(&mut heads, &named(2 * number + 1, 45), 4096);
        assert!(!heads.are_too_much(), "{number}");
    }
    pass(&mut heads, &named(201, 100), 4096);
    pass(&mut heads, &named(203, 100), 4096);
    assert!(heads.are_too_much());
    heads.end(201);
    heads.end(7);
    assert!(!heads.are_too_much());
    // A client that names its fields once has paid for them, however many there are.
    let field = b"\x40\x06x-name\x05value";
    for number in 102..1_000 {
        pass(
            &mut heads,
            &frame(HEADERS, END_HEADERS, 2 * number + 1, &field.repeat(98)),
            4096,
        );
    }
    assert!(!heads.are_too_much());
}

#[test]
fn a_head_alone_is_never_too_much() {
    let mut heads = Heads::new(1);
    pass(&mut heads, &named(1, 481), 4096);
    assert!(!heads.are_too_much());
}

#[test]
fn trailers_count_as_long_as_their_request_lasts() {
    let mut heads = Heads::new(100);
    pass(
        &mut heads,
        &[named(1, 10), named(3, 10), named(1, 20)].concat(),
        3,
    );
    assert_eq!(heads.held, [(1, 30 * 7), (3, 10 * 7)]);
    heads.end(1);
    pass(
        &mut heads,
        &[named(1, 50), frame(RST_STREAM, 0, 1, &[0; 4])].concat(),
        3,
    );
    assert_eq!((heads.unpaid, heads.held.len()), (70, 1));
    heads.end(3);
    assert_eq!((heads.unpaid, heads.held.len()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_are_the_same_in_any_pieces(
        frames in prop::collection::vec((0u8..10, any::<u8>(), 0u32..6, prop::collection::vec(any::<u8>(), 0..60)), 0..12),
        step in 1usize..100,
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload)).collect();
        let mut whole = Heads::new(100);
        pass(&mut whole, &bytes, bytes.len().max(1));
        let mut pieces = Heads::new(100);
        pass(&mut pieces, &bytes, step);
        prop_assert_eq!(&whole.held, &pieces.held);
        prop_assert_eq!(whole.unpaid, whole.held.iter().map(|(_, unpaid)| unpaid).sum::<u32>());
    }
}
