//! Random documents, what becomes of them, and how they are written.

use proptest::prelude::*;

/// A document, with what JSON permits and no map keeps: names given twice, numbers as they are written.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Word(&'static str),
    Number(String),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Text {
    /// Whether some object in it has a name twice.
    pub(super) fn repeats(&self) -> bool {
        match self {
            Self::Word(_) | Self::Number(_) | Self::String(_) => false,
            Self::Array(list) => list.iter().any(Self::repeats),
            Self::Object(members) => members.iter().enumerate().any(|(at, (name, value))| {
                value.repeats() || members[..at].iter().any(|(other, _)| other == name)
            }),
        }
    }

    /// Makes one scalar another (or fills an empty array or object).
    pub(super) fn alter(&mut self, place: usize) {
        match self {
            Self::Array(list) if !list.is_empty() => {
                let at = place % list.len();
                list[at].alter(place / 7);
            }
            Self::Object(members) if !members.is_empty() => {
                let at = place % members.len();
                members[at].1.alter(place / 7);
            }
            Self::Word(word) => *word = if *word == "null" { "true" } else { "null" },
            Self::Number(text) => text.insert(usize::from(text.starts_with('-')), '7'),
            Self::String(text) => text.push('x'),
            Self::Array(_) | Self::Object(_) => *self = Self::Word("false"),
        }
    }

    /// One change at a place that is chosen by numbers.
    fn change(&mut self, choices: &mut impl Iterator<Item = usize>, other: Self) {
        let mut choose = |bound: usize| choices.next().unwrap_or(0) % bound.max(1);
        match self {
            Self::Array(list) if !list.is_empty() => {
                let (at, to) = (choose(list.len()), choose(list.len()));
                match choose(7) {
                    0 => drop(list.remove(at)),
                    1 => list.insert(at, other),
                    2 => list.swap(at, to),
                    3 => list.reverse(),
                    4 => list.insert(to, list[at].clone()),
                    _ => list[at].change(choices, other),
                }
            }
            Self::Object(members) if !members.is_empty() => {
                let (at, to) = (choose(members.len()), choose(members.len()));
                match choose(8) {
                    0 => drop(members.remove(at)),
                    1 => members.insert(at, (NAMES[to % NAMES.len()].into(), other)),
                    2 => members.swap(at, to),
                    3 => members.insert(to, members[at].clone()),
                    4 => members.insert(to, (members[at].0.clone(), other)),
                    5 => members.push((format!("{}x", members[at].0), Self::Word("null"))),
                    _ => members[at].1.change(choices, other),
                }
            }
            Self::Word(_)
            | Self::Number(_)
            | Self::String(_)
            | Self::Array(_)
            | Self::Object(_) => {
                *self = other;
            }
        }
    }
}

const NAMES: [&str; 9] = [
    "a",
    "b",
    "c",
    "id",
    "x y",
    "",
    "é",
    "a\"b",
    "a_name_that_is_long",
];
const NUMBERS: [&str; 17] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "10",
    "1.0",
    "1.25",
    "1.5",
    "0.5",
    "1e400",
    "10e399",
    "1e401",
    "9007199254740993",
    "9007199254740992",
    "123456789012345678901234567890",
    "1E-7",
];
const STRINGS: [&str; 8] = [
    "",
    "a",
    "b",
    "é",
    "\n",
    "😀",
    "12345678",
    "a text of more than sixteen bytes",
];

pub(super) fn document() -> impl Strategy<Value = Text> {
    let leaf = prop_oneof![
        proptest::sample::select(&["null", "true", "false"][..]).prop_map(Text::Word),
        proptest::sample::select(&NUMBERS[..]).prop_map(|text| Text::Number(text.into())),
        (-3..1_000_i64).prop_map(|number| Text::Number(number.to_string())),
        proptest::sample::select(&STRINGS[..]).prop_map(|text| Text::String(text.into())),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
        let many = proptest::collection::vec(inner.clone(), 20..30).prop_map(|values| {
            let members = values.into_iter().enumerate();
            Text::Object(members.map(|(at, value)| (format!("n{at}"), value)).collect())
        });
        prop_oneof![
            8 => proptest::collection::vec(inner.clone(), 0..6).prop_map(Text::Array),
            12 => proptest::collection::vec((name, inner.clone()), 0..6).prop_map(Text::Object),
            1 => many,
            1 => (inner, 1..130_usize).prop_map(|(inner, depth)| (0..depth).fold(inner, |inner, _| Text::Array(vec![inner]))),
        ]
    })
}

/// A document and one that came from it by a few changes, or another altogether.
pub(super) fn pair() -> impl Strategy<Value = (Text, Text)> {
    let changes = proptest::collection::vec(
        (proptest::collection::vec(0..1_000_usize, 12), document()),
        0..3,
    );
    prop_oneof![
        6 => (document(), changes).prop_map(|(old, changes)| {
            let mut new = old.clone();
            for (choices, other) in changes {
                new.change(&mut choices.into_iter(), other);
            }
            (old, new)
        }),
        1 => (document(), document()),
    ]
}

/// Chance, as far as a writer needs it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % bound
    }
}

/// Writes a document: names in some order (a name that comes again behind its first), numbers, strings and blanks in some way. Seeds below a quarter
/// write it plainly.
pub(super) fn clothed(text: &Text, seed: u64) -> String {
    let mut out = String::new();
    write(text, &mut Dice(seed), seed < u64::MAX / 4, &mut out);
    out
}

fn write(text: &Text, dice: &mut Dice, plain: bool, out: &mut String) {
    let blank = |dice: &mut Dice, out: &mut String| {
        if !plain && dice.roll(8) == 0 {
            out.push_str([" ", "\n", "\t\r\n "][dice.roll(3) as usize]);
        }
    };
    blank(dice, out);
    match text {
        Text::Word(word) => out.push_str(word),
        Text::Number(number) if plain => out.push_str(number),
        Text::Number(number) => {
            let whole = !number.contains(['.', 'e', 'E']);
            let end = match dice.roll(6) {
                0 if whole => ".0",
                1 if whole && !number.ends_with('0') => "0e-1",
                2 if whole => ".00E+0",
                3 if number.contains('.') => "0",
                4 if !number.contains(['e', 'E']) => "e0",
                _ => "",
            };
            out.push_str(number);
            out.push_str(end);
        }
        Text::String(text) => quote(text, dice, plain, out),
        Text::Array(list) => {
            out.push('[');
            for (at, element) in list.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write(element, dice, plain, out);
            }
            out.push(']');
        }
        Text::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            match dice.roll(4) {
                _ if plain => {}
                0 => members.sort_by_key(|(name, _)| name.clone()),
                // Backwards, but for names that come again.
                1 => members.sort_by(|(a, _), (b, _)| b.cmp(a)),
                2 => members.sort_by_key(|(name, _)| name.len()),
                _ => {}
            }
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                blank(dice, out);
                quote(name, dice, plain, out);
                blank(dice, out);
                out.push(':');
                write(member, dice, plain, out);
            }
            out.push('}');
        }
    }
    blank(dice, out);
}

fn quote(text: &str, dice: &mut Dice, plain: bool, out: &mut String) {
    out.push('"');
    let escape_all = !plain && dice.roll(8) == 0;
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '\n') || escape_all {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
}

/// Makes one byte another, takes it out, or puts one in.
pub(super) fn spoilt(text: &mut Vec<u8>, [place, how]: [usize; 2]) {
    const BYTES: &[u8] = b"{}[]\",:01.-+eE\\unltfrsa \x00\x1f\xff\xc3\xa9\xef";
    let byte = BYTES[how / 4 % BYTES.len()];
    let at = place % (text.len() + 1);
    match how % 4 {
        0 if at < text.len() => text[at] = byte,
        1 if at < text.len() => drop(text.remove(at)),
        2 => text.truncate(at),
        _ => text.insert(at, byte),
    }
}
