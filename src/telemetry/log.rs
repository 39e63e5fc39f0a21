//! How a line of the log reads: as text, or as an object of JSON; either way nobody from outside can make it look like two.
//!
//! The log belongs to the process, as that of `tracing` does: the settings that were applied last say how it is.

use crate::config::settings::{LogFormat, LogLevel};
use crate::redact::{HIDDEN, is_secret, write_json, write_plain};
use jiff::Timestamp;
use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

static IS_JSON: AtomicBool = AtomicBool::new(false);
static SET_LEVEL: OnceLock<Box<dyn Fn(LevelFilter) + Send + Sync>> = OnceLock::new();

/// Sends the log of this process there, from `info` on, until [`set`] says otherwise.
pub fn install<W>(writer: W, colours: bool)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(LevelFilter::INFO);
    let lines = fmt::layer()
        .event_format(Lines)
        .with_ansi(colours)
        .with_writer(writer);
    let log = tracing_subscriber::registry().with(level).with(lines);
    // A second one is refused; the first then stays, which is as good.
    if tracing::subscriber::set_global_default(log).is_ok() {
        let set = move |level| {
            let _ = handle.modify(|filter| *filter = level);
        };
        let _ = SET_LEVEL.set(Box::new(set));
    }
}

/// How the log is from now on.
pub fn set(level: LogLevel, format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    if let Some(set) = SET_LEVEL.get() {
        set(match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        });
    }
}

/// Writes events as lines.
#[derive(Debug)]
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = *event.metadata().level();
        if IS_JSON.load(Ordering::Relaxed) {
            said.write_json(level, now(), writer)
        } else {
            said.write_text(level, now(), writer)
        }
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    fn put(&mut self, name: &'static str, value: String) {
        match name {
            "message" => self.message = value,
            name if is_secret(name) => self.fields.push((name, HIDDEN.to_owned())),
            name => self.fields.push((name, value)),
        }
    }

    /// `TIME LEVEL message field=value ..`; further lines of a message are indented, so that none begins like another line of the log.
    fn write_text(&self, level: Level, now: Timestamp, mut to: Writer<'_>) -> std::fmt::Result {
        let (dim, colour, end) = match to.has_ansi_escapes() {
            false => ("", "", ""),
            true => ("\u{1b}[2m", colour(level), "\u{1b}[0m"),
        };
        write!(to, "{dim}{now:.6}{end} {colour}{level:>5}{end} ")?;
        for (number, line) in self.message.lines().enumerate() {
            if number > 0 {
                to.write_str("\n    ")?;
            }
            write_plain(line, &mut to)?;
        }
        for (name, value) in &self.fields {
            write!(to, " {dim}{name}={end}")?;
            if value.contains([' ', '"', '=']) || value.is_empty() {
                write_json(value, &mut to)?;
            } else {
                write_plain(value, &mut to)?;
            }
        }
        to.write_char('\n')
    }

    /// `{"time", "level", "message", ..}`, a field of the event after the other.
    fn write_json(&self, level: Level, now: Timestamp, mut to: Writer<'_>) -> std::fmt::Result {
        let level = level.as_str().to_ascii_lowercase();
        write!(
            to,
            "{{\"time\":\"{now:.6}\",\"level\":\"{level}\",\"message\":"
        )?;
        write_json(&self.message, &mut to)?;
        for (name, value) in &self.fields {
            to.write_char(',')?;
            write_json(name, &mut to)?;
            to.write_char(':')?;
            write_json(value, &mut to)?;
        }
        to.write_str("}\n")
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        self.put(field.name(), text);
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[34m",
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "lines say when they were written"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(message: &str, value: &str) -> [String; 2] {
        let said = Said {
            message: message.to_owned(),
            fields: vec![("error", value.to_owned())],
        };
        let (mut text, mut json) = (String::new(), String::new());
        said.write_text(Level::WARN, Timestamp::UNIX_EPOCH, Writer::new(&mut text))
            .unwrap();
        said.write_json(Level::WARN, Timestamp::UNIX_EPOCH, Writer::new(&mut json))
            .unwrap();
        [text, json]
    }

    #[test]
    fn lines_read_as_the_reference_says() {
        let [text, json] = lines("a\nb", "c d\n");
        assert_eq!(
            text,
            "1970-01-01T00:00:00.000000Z  WARN a\n    b error=\"c d\\n\"\n"
        );
        assert_eq!(
            json,
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"warn\",\"message\":\"a\\nb\",\"error\":\"c d\\n\"}\n"
        );
    }

    #[test]
    fn secret_fields_are_not_shown() {
        let mut said = Said::default();
        said.put("api_token", "PLANTED".to_owned());
        said.put("plain", "shown".to_owned());
        let expected = [("api_token", HIDDEN), ("plain", "shown")];
        assert_eq!(
            said.fields,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn nothing_that_is_said_begins_a_line(message in any::<String>(), value in any::<String>()) {
            let [text, json] = lines(&message, &value);
            let begins = |line: &&str| !line.starts_with("    ");
            prop_assert_eq!(text.split('\n').filter(begins).count(), 2, "{}", text);
            prop_assert!(!text.replace('\n', "").chars().any(char::is_control));
            prop_assert!(!json[..json.len() - 1].chars().any(char::is_control));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read["message"].as_str(), Some(message.as_str()));
            prop_assert_eq!(read["error"].as_str(), Some(value.as_str()));
        }
    }
}
