//! Numbers and texts in columns, for the screen. Pure.

use std::time::Duration;

pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

pub(super) fn rate(value: f64) -> String {
    if value < 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

pub(super) fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 9.995 => format!("{value:.2}"),
        Some(value) if value < 99.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

pub(super) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Field names and messages come from answers and files: nothing in them may steer the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

/// Columns that a text takes; East Asian letters take two.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> usize {
    match u32::from(letter) {
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF => 2,
        0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF => 2,
        0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// What of a text fits, with an ellipsis where it was cut, and the columns that it takes.
pub(super) fn clip(text: &str, columns: usize) -> (String, usize) {
    let whole = width(text);
    if whole <= columns {
        return (text.to_owned(), whole);
    }
    let (mut fitting, mut used) = (String::new(), 0);
    for letter in text.chars() {
        if used + letter_width(letter) + 1 > columns {
            break;
        }
        fitting.push(letter);
        used += letter_width(letter);
    }
    if used < columns {
        fitting.push('…');
        used += 1;
    }
    (fitting, used)
}

/// Exactly that many columns: cut, or filled with spaces.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let (mut text, used) = clip(&clean(text), columns);
    text.extend(std::iter::repeat_n(' ', columns - used));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(value), expected);
        }
        for (value, expected) in [
            (0.004, "0.00"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (99.94, "99.9"),
            (99.96, "100"),
            (15_000.0, "15000"),
        ] {
            assert_eq!(millis(Some(value)), expected);
        }
        for (value, expected) in [(0.04, "0.0"), (9.94, "9.9"), (9.96, "10"), (1234.5, "1234")] {
            assert_eq!(rate(value), expected);
        }
        assert_eq!(pad("日本語", 5), "日本…");
        assert_eq!(pad("日本語", 4), "日… ");
    }
}
