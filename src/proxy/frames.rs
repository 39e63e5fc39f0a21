//! Frames of HTTP/2 (RFC 9113 §4.1) as they pass, by their first bytes. What is in them is the library's business.

/// Bytes before a frame's payload.
const HEAD: usize = 9;
/// Bytes of the payload that are told too.
const PEEK: usize = 2;

/// DATA (§6.1).
pub(super) const DATA: u8 = 0;
/// HEADERS (§6.2).
pub(super) const HEADERS: u8 = 1;
/// RST_STREAM (§6.4).
pub(super) const RST_STREAM: u8 = 3;
/// SETTINGS (§6.5).
pub(super) const SETTINGS: u8 = 4;
/// PING (§6.7).
pub(super) const PING: u8 = 6;
/// CONTINUATION (§6.10).
pub(super) const CONTINUATION: u8 = 9;
/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;
/// Of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 4;
/// Of DATA and HEADERS: the payload begins with the length of what fills it up at its end.
pub(super) const PADDED: u8 = 8;
/// Of HEADERS: five bytes stand before the block of fields.
pub(super) const PRIORITY: u8 = 0x20;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) length: usize,
    /// The first bytes of the payload; 0 for those that it does not have.
    pub(super) payload: [u8; PEEK],
}

/// What passes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Passing<'a> {
    /// A frame begins.
    Frame(Frame),
    /// Some of the latest frame's payload, behind what was told with it. Bytes before the first frame are told too.
    Payload(&'a [u8]),
}

impl Frame {
    /// The bytes of the payload that are told with it.
    pub(super) fn known(&self) -> &[u8] {
        &self.payload[..self.length.min(PEEK)]
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a block of fields has one field only. Its beginning says that of a field whose name is known (RFC 7541 §6.1, §6.2), as every
    /// `:status` is.
    pub(super) fn has_one_field(&self) -> bool {
        match (self.payload, self.length) {
            ([first, _], 1) => first & 0x80 != 0,
            ([0xff, second], 2) => second & 0x80 == 0,
            // A literal: the index of its name is one byte, the length of its value too.
            ([first, second], length) if first & 0x80 == 0 => {
                let most = if first & 0x40 == 0 { 0x0f } else { 0x3f };
                let name = first & most;
                name > 0 && name < most && length == 2 + usize::from(second & 0x7f)
            }
            _ => false,
        }
    }
}

/// Where one way of a connection is.
#[derive(Debug)]
pub(super) struct Scanner {
    /// The beginning of the frame that is passing, as far as it is known.
    begun: [u8; HEAD + PEEK],
    have: usize,
    /// Bytes that belong to what was told of already.
    rest: usize,
}

impl Scanner {
    /// Before the first frame, with so many bytes before it.
    pub(super) fn after(rest: usize) -> Self {
        Self {
            begun: [0; HEAD + PEEK],
            have: 0,
            rest,
        }
    }

    /// Whether a frame has begun of which more must come, if it is not one of DATA.
    pub(super) fn is_in_frame(&self) -> bool {
        (self.have > 0 || self.rest > 0) && !(self.have >= 4 && self.begun[3] == DATA)
    }

    /// Whether nothing of the next frame has come.
    pub(super) fn is_between(&self) -> bool {
        self.rest == 0 && (self.have == 0 || self.is_known())
    }

    /// How many of these bytes, which come next, are of the frame that is passing, or of the next one.
    pub(super) fn of_frame(&self, bytes: &[u8]) -> usize {
        let left = match bytes {
            _ if self.rest > 0 => self.rest,
            [first, second, third, ..] if self.is_between() && bytes.len() >= HEAD => {
                HEAD + u32::from_be_bytes([0, *first, *second, *third]) as usize
            }
            _ if self.is_between() => HEAD,
            // Its head, and then of its payload what is told with it.
            _ => self.wanted() - self.have,
        };
        left.min(bytes.len())
    }

    /// Takes bytes that pass, and tells what they are.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Passing<'_>)) {
        loop {
            let (payload, behind) = bytes.split_at(self.rest.min(bytes.len()));
            if !payload.is_empty() {
                tell(Passing::Payload(payload));
            }
            bytes = behind;
            self.rest -= payload.len();
            if self.rest > 0 {
                return;
            }
            if self.is_known() {
                self.have = 0;
            }
            let wanted = self.wanted();
            let taken = (wanted - self.have).min(bytes.len());
            self.begun[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < HEAD {
                return;
            }
            if !self.is_known() {
                if bytes.is_empty() {
                    return;
                }
                continue;
            }
            let frame = self.frame();
            self.rest = frame.length - (self.have - HEAD);
            if self.rest == 0 {
                self.have = 0;
            }
            tell(Passing::Frame(frame));
        }
    }

    fn length(&self) -> usize {
        let [first, second, third, ..] = self.begun;
        u32::from_be_bytes([0, first, second, third]) as usize
    }

    /// Bytes of the beginning that are needed.
    fn wanted(&self) -> usize {
        if self.have < HEAD {
            HEAD
        } else {
            HEAD + self.length().min(PEEK)
        }
    }

    fn is_known(&self) -> bool {
        self.have >= HEAD && self.have == self.wanted()
    }

    fn frame(&self) -> Frame {
        let [_, _, _, kind, flags, a, b, c, d, payload @ ..] = self.begun;
        let mut known = [0; PEEK];
        let peeked = self.have - HEAD;
        known[..peeked].copy_from_slice(&payload[..peeked]);
        Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
            length: self.length(),
            payload: known,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::proxy) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn frames_are_told_however_their_bytes_come() {
        let bytes = [
            b"preface".to_vec(),
            frame(4, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, b"abc"),
            frame(DATA, 0, 1, &[7; 300]),
            frame(DATA, END_STREAM, 1, b""),
            frame(RST_STREAM, 0, 0x8000_0003, b"x"),
            frame(CONTINUATION, 0, 5, b"yz"),
        ]
        .concat();
        for step in [1, 2, 3, 8, 9, 10, 100, bytes.len()] {
            let mut scanner = Scanner::after(7);
            let (mut told, mut payload) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(step) {
                scanner.pass(piece, |passing| match passing {
                    Passing::Frame(frame) => {
                        told.push((frame.kind, frame.flags, frame.stream, frame.length));
                        payload.extend_from_slice(frame.known());
                    }
                    Passing::Payload(bytes) => payload.extend_from_slice(bytes),
                });
            }
            assert_eq!(
                payload,
                [b"preface".as_slice(), b"abc", &[7; 300], b"x", b"yz"].concat()
            );
            let expected = [
                (4, 0, 0, 0),
                (HEADERS, END_HEADERS, 1, 3),
                (DATA, 0, 1, 300),
                (DATA, END_STREAM, 1, 0),
                (RST_STREAM, 0, 3, 1),
                (CONTINUATION, 0, 5, 2),
            ];
            assert_eq!(told, expected, "{step}");
            assert!(!scanner.is_in_frame());
        }
    }

    #[test]
    fn frames_are_taken_apart_wherever_they_are_cut() {
        let frames = [
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, b"abc"),
            frame(DATA, 0, 1, &[7; 300]),
            frame(DATA, END_STREAM, 1, b"x"),
            frame(RST_STREAM, 0, 3, b"1234"),
        ];
        let ends: Vec<usize> = frames
            .iter()
            .scan(7, |end, frame| {
                *end += frame.len();
                Some(*end)
            })
            .collect();
        let bytes = [b"preface".to_vec(), frames.concat()].concat();
        for step in [1, 2, 3, 8, 9, 10, 11, 100, bytes.len()] {
            let mut scanner = Scanner::after(7);
            let (mut at, mut between) = (0, Vec::new());
            for mut piece in bytes.chunks(step) {
                while !piece.is_empty() {
                    let (frame, rest) = piece.split_at(scanner.of_frame(piece));
                    assert!(!frame.is_empty());
                    scanner.pass(frame, |_| {});
                    (at, piece) = (at + frame.len(), rest);
                    if scanner.is_between() {
                        between.push(at);
                    }
                }
            }
            assert_eq!(between, [&[7], &ends[..]].concat(), "{step}");
        }
    }

    #[test]
    fn what_must_go_on_is_seen() {
        let check = |bytes: &[u8], expected: bool| {
            let mut scanner = Scanner::after(3);
            scanner.pass(&[b"pre", bytes].concat(), |_| {});
            assert_eq!(scanner.is_in_frame(), expected, "{bytes:?}");
        };
        let head = frame(HEADERS, 0, 1, b"abc");
        check(&[], false);
        check(&head, false);
        check(&head[..1], true);
        check(&head[..11], true);
        let data = frame(DATA, 0, 1, b"abc");
        check(&data[..3], true);
        check(&data[..10], false);
        check(&data[..11], false);
    }

    #[test]
    fn one_field_is_told_from_several() {
        let check = |payload: &[u8], expected: bool| {
            let mut told = None;
            let bytes = frame(HEADERS, END_HEADERS, 1, payload);
            Scanner::after(0).pass(&bytes, |passing| {
                if let Passing::Frame(frame) = passing {
                    told = Some(frame.has_one_field());
                }
            });
            assert_eq!(told, Some(expected), "{payload:?}");
        };
        check(&[0x88], true);
        check(&[0xbe], true);
        check(&[0xff, 0x10], true);
        check(b"\x48\x03431", true);
        check(b"\x48\x83\x68\x2f\xff", true);
        check(b"\x08\x03431", true);
        check(&[0x88, 0xbe], false);
        check(b"\x48\x03431\xbe", false);
        check(b"\x48\x03431\x61\x01a", false);
        check(b"\x40\x01a\x01b", false);
        check(b"", false);
    }
}
