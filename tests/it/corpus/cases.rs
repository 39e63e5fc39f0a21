//! The language of the corpus: `STATUS STATE | REQUEST | REASON | BYTES`, one case a line; empty lines and such that begin with `#` are left out.
//!
//! STATUS is what the client gets, `none` for no answer; STATE is `open` or `closed`. REQUEST is what the side sees, as `METHOD TARGET = BODY`, or `-`
//! for nothing whole. In BYTES `⏎` is CR LF, `\r \n \t \0 \\ \xHH` are what they are in Rust, and `\{N C}` is the character C, N times.

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gets {
    Status(u16),
    Nothing,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoesOn,
    Closed,
}

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) line: usize,
    pub(super) gets: Gets,
    pub(super) then: Then,
    /// What the side sees, if anything.
    pub(super) seen: Option<String>,
    pub(super) why: String,
    pub(super) bytes: Vec<u8>,
}

impl Case {
    /// The method, for whoever reads the answer.
    pub(super) fn method(&self) -> String {
        let word = self.bytes.split(|byte| *byte == b' ').next();
        String::from_utf8_lossy(word.unwrap_or_default()).into_owned()
    }
}

/// All cases of a text. Panics where one can't be read.
#[track_caller]
pub(super) fn read(text: &str) -> Vec<Case> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| case(number + 1, line))
        .collect()
}

#[track_caller]
fn case(line: usize, text: &str) -> Case {
    let parts: Vec<_> = text.splitn(4, " | ").collect();
    let [gets, seen, why, bytes] = parts[..] else {
        panic!("line {line} has not four parts: {text}");
    };
    let (status, state) = gets.split_once(' ').expect("a status and a state");
    Case {
        line,
        gets: match status {
            "none" => Gets::Nothing,
            status => Gets::Status(status.parse().unwrap()),
        },
        then: match state {
            "open" => Then::GoesOn,
            "closed" => Then::Closed,
            other => panic!("line {line}: no state {other}"),
        },
        seen: (seen != "-").then(|| {
            String::from_utf8(unescape(seen))
                .unwrap()
                .trim_end()
                .to_owned()
        }),
        why: why.to_owned(),
        bytes: unescape(bytes),
    }
}

#[track_caller]
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '⏎' => bytes.extend_from_slice(b"\r\n"),
            '\\' => match rest.next().unwrap() {
                'r' => bytes.push(b'\r'),
                'n' => bytes.push(b'\n'),
                't' => bytes.push(b'\t'),
                '0' => bytes.push(0),
                '\\' => bytes.push(b'\\'),
                'x' => {
                    let hex: String = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&hex, 16).unwrap());
                }
                '{' => {
                    let inside: String = rest.by_ref().take_while(|c| *c != '}').collect();
                    let (times, what) = inside.split_once(' ').unwrap();
                    bytes.extend(unescape(what).repeat(times.parse().unwrap()));
                }
                other => panic!("no escape: \\{other}"),
            },
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[test]
fn a_case_says_bytes() {
    let case = case(
        1,
        "200 open | POST / = a\\rb | why | a⏎\\t\\0\\\\\\xff\\{3 x}|",
    );
    assert_eq!(case.bytes, b"a\r\n\t\0\\\xffxxx|");
    assert_eq!((case.gets, case.then), (Gets::Status(200), Then::GoesOn));
    assert_eq!(
        (case.seen.as_deref(), &*case.why),
        (Some("POST / = a\rb"), "why")
    );
}
