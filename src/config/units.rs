//! Durations and sizes as a routes.toml writes them: an integer and a unit, nothing else.

use std::time::Duration;

/// The longest duration that a file may name.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

const DURATION_GRAMMAR: &str =
    "a duration is an integer and ms, s, m or h, as in \"250ms\" or \"15s\"";
const SIZE_GRAMMAR: &str = "a size is an integer and B, KiB, MiB or GiB, as in \"256KiB\"";

/// Why a text is no duration or no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Reads an integer and `ms`, `s`, `m` or `h`; at most [`LONGEST`].
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let (Ok(number), Some(millis)) = (number.parse::<u64>(), millis) else {
        return Err(no_unit(
            text,
            "duration",
            DURATION_GRAMMAR,
            duration_like(text),
        ));
    };
    let duration = number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .filter(|d| *d <= LONGEST);
    duration.ok_or_else(|| UnitError {
        message: format!("\"{text}\" is too long"),
        hint: "a duration is at most 720h".to_owned(),
    })
}

/// Reads an integer and `B`, `KiB`, `MiB` or `GiB`, in bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text);
    let shift = match unit {
        "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let (Ok(number), Some(shift)) = (number.parse::<u64>(), shift) else {
        return Err(no_unit(text, "size", SIZE_GRAMMAR, size_like(text)));
    };
    number.checked_mul(1 << shift).ok_or_else(|| UnitError {
        message: format!("\"{text}\" is too large"),
        hint: "a size is less than 2^64 bytes".to_owned(),
    })
}

/// A size as a file writes it, in the largest unit that has no rest.
#[must_use]
pub fn written(size: u64) -> String {
    let (shift, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| size > 0 && size.trailing_zeros() >= *shift)
        .unwrap_or((0, "B"));
    format!("{}{unit}", size >> shift)
}

fn no_unit(text: &str, what: &str, grammar: &str, like: Option<String>) -> UnitError {
    let hint = match like {
        Some(like) => format!("write \"{like}\": {grammar}"),
        None => grammar.to_owned(),
    };
    UnitError {
        message: format!("\"{text}\" is no {what}"),
        hint,
    }
}

/// Digits, and what stands behind them.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// What the author of a near miss probably meant.
fn duration_like(text: &str) -> Option<String> {
    let (number, unit) = split(text.trim());
    let number: u64 = number.parse().ok()?;
    let (factor, unit) = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millis" | "milliseconds" => (1, "ms"),
        "s" | "sec" | "secs" | "second" | "seconds" => (1, "s"),
        "m" | "min" | "mins" | "minute" | "minutes" => (1, "m"),
        "h" | "hr" | "hour" | "hours" => (1, "h"),
        "d" | "day" | "days" => (24, "h"),
        _ => return None,
    };
    let like = format!("{}{unit}", number.checked_mul(factor)?);
    duration(&like).is_ok().then_some(like)
}

/// What the author of a near miss probably meant.
fn size_like(text: &str) -> Option<String> {
    let (number, unit) = split(text.trim());
    let number: u64 = number.parse().ok()?;
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "ki" | "kib" => "KiB",
        "m" | "mb" | "mi" | "mib" => "MiB",
        "g" | "gb" | "gi" | "gib" => "GiB",
        _ => return None,
    };
    let like = format!("{number}{unit}");
    size(&like).is_ok().then_some(like)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let read = duration(text)
                .map(|d| u64::try_from(d.as_millis()).unwrap())
                .map_err(|e| e.hint);
            match expected {
                Ok(millis) => assert_eq!(read, Ok(millis), "{text}"),
                Err(hint) => assert!(
                    read.as_ref().is_err_and(|h| h.starts_with(hint)),
                    "{text}: {read:?}"
                ),
            }
        };
        check("0s", Ok(0));
        check("250ms", Ok(250));
        check("15s", Ok(15_000));
        check("10m", Ok(600_000));
        check("720h", Ok(720 * 3_600_000));
        check("721h", Err("a duration is at most"));
        check("99999999999999999h", Err("a duration is at most"));
        check("5 s", Err("write \"5s\""));
        check("5sec", Err("write \"5s\""));
        check("1d", Err("write \"24h\""));
        check("5S", Err("write \"5s\""));
        check("1.5s", Err("a duration is an integer"));
        check("-1s", Err("a duration is an integer"));
        check("+1s", Err("a duration is an integer"));
        check("1m30s", Err("a duration is an integer"));
        check("s", Err("a duration is an integer"));
        check("", Err("a duration is an integer"));
        check("99999999999999999999s", Err("a duration is an integer"));
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let read = size(text).map_err(|e| e.hint);
            match expected {
                Ok(bytes) => assert_eq!(read, Ok(bytes), "{text}"),
                Err(hint) => assert!(
                    read.as_ref().is_err_and(|h| h.starts_with(hint)),
                    "{text}: {read:?}"
                ),
            }
        };
        for (size, text) in [
            (0, "0B"),
            (1_000, "1000B"),
            (48 << 20, "48MiB"),
            (1 << 40, "1024GiB"),
        ] {
            assert_eq!(written(size), text);
        }
        check("0B", Ok(0));
        check("256KiB", Ok(262_144));
        check("1MiB", Ok(1 << 20));
        check("3GiB", Ok(3 << 30));
        check("256KB", Err("write \"256KiB\""));
        check("256k", Err("write \"256KiB\""));
        check("1 MiB", Err("write \"1MiB\""));
        check("1024", Err("a size is an integer"));
        check("1TiB", Err("a size is an integer"));
        check("99999999999GiB", Err("a size is less than"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (duration(&text), size(&text));
        }

        #[test]
        fn a_hint_is_itself_right(number in 0u64..500, unit in "[a-zA-Z]{1,3}", gap in "[ ]?") {
            let text = format!("{number}{gap}{unit}");
            for error in [duration(&text).err(), size(&text).err()].into_iter().flatten() {
                if let Some(like) = error.hint.strip_prefix("write \"").and_then(|h| h.split('"').next()) {
                    prop_assert!(duration(like).is_ok() || size(like).is_ok(), "{text}: {like}");
                }
            }
        }
    }
}
