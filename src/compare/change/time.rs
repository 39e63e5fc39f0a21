//! Moments in texts, as far as it takes to see that two are one: RFC 3339 and its relatives.

/// A moment as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Nanoseconds since 1970, of the clock of the place where there is one.
    pub(super) local: i128,
    /// Minutes ahead of UTC.
    pub(super) offset: Option<i32>,
    /// A day, without a time of it.
    pub(super) is_date: bool,
}

/// Reads `2024-01-01`, `2024-01-01T10:20:30.5Z`, `2024-01-01 10:20+0200`; nothing else.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let mut rest = text.as_bytes();
    if rest.len() > 40 || !rest.is_ascii() {
        return None;
    }
    let year = digits(&mut rest, 4)?;
    take(&mut rest, b"-")?;
    let month = digits(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    take(&mut rest, b"-")?;
    let day = digits(&mut rest, 2).filter(|day| (1..=31).contains(day))?;
    let mut seconds = days(year, month, day) * 86_400;
    let mut nanoseconds = 0;
    let mut offset = None;
    let is_date = rest.is_empty();
    if take(&mut rest, b"Tt ").is_some() {
        let hour = digits(&mut rest, 2).filter(|hour| *hour < 24)?;
        take(&mut rest, b":")?;
        let minute = digits(&mut rest, 2).filter(|minute| *minute < 60)?;
        seconds += hour * 3_600 + minute * 60;
        if take(&mut rest, b":").is_some() {
            seconds += digits(&mut rest, 2).filter(|second| *second <= 60)?;
            if take(&mut rest, b".,").is_some() {
                nanoseconds = fraction(&mut rest)?;
            }
        }
        offset = zone(&mut rest)?;
    }
    rest.is_empty().then_some(Moment {
        local: i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds),
        offset,
        is_date,
    })
}

impl Moment {
    /// Nanoseconds since 1970; one without a zone counts as UTC.
    pub(super) fn instant(self) -> i128 {
        self.local - i128::from(self.offset.unwrap_or(0)) * 60_000_000_000
    }
}

/// Days since 1970 of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = year - i64::from(month <= 2);
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

/// `Z`, `+02:00`, `+0200`, `+02`, or none.
fn zone(rest: &mut &[u8]) -> Option<Option<i32>> {
    if rest.is_empty() {
        return Some(None);
    }
    if take(rest, b"Zz").is_some() {
        return Some(Some(0));
    }
    let sign = match take(rest, b"+-")? {
        b'-' => -1,
        _ => 1,
    };
    let hours = digits(rest, 2)?;
    let colon = take(rest, b":").is_some();
    let minutes = match digits(rest, 2) {
        Some(minutes) => minutes,
        None if colon => return None,
        None => 0,
    };
    Some(i32::try_from(sign * (hours * 60 + minutes)).ok())
}

fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, left) = rest.split_at(count);
    *rest = left;
    let digit = |at: usize| text.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    (count > 0).then(|| (0..9).fold(0, |value, at| value * 10 + digit(at)))
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (text, left) = rest.split_at_checked(count)?;
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = left;
    Some(
        text.iter()
            .fold(0, |value, byte| value * 10 + i64::from(byte - b'0')),
    )
}

fn take(rest: &mut &[u8], of: &[u8]) -> Option<u8> {
    let (first, left) = rest.split_first()?;
    of.contains(first).then(|| {
        *rest = left;
        *first
    })
}
