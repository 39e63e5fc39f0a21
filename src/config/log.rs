//! `[log]`: what the process says, and of which requests it keeps a line.

use crate::config::scalar;
use crate::config::section::Section;
use crate::config::settings::{AccessLog, Log, LogFormat, LogLevel};
use crate::config::url;
use crate::config::walk::{Item, Sink};
use crate::route::bucket::Share;
use std::path::Path;

const LEVELS: [(&str, LogLevel); 4] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const ACCESS: [(&str, bool); 2] = [("off", false), ("on", true)];

/// Reads `[log]`. The path in it is relative to the file's directory.
pub(super) fn log(section: &Section<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Log {
    let path =
        |item: &Item<'_>, sink: &mut Sink<'_>| scalar::path(item, sink).map(|p| file_dir.join(p));
    let level = section.read(sink, "level", |item, sink| item.one_of(sink, &LEVELS));
    let format = section.read(sink, "format", |item, sink| item.one_of(sink, &FORMATS));
    let access = section.read(sink, "access", |item, sink| item.one_of(sink, &ACCESS));
    let sample = section.read(sink, "sample", scalar::percent);
    let file = section.read(sink, "file", path);
    let traces = section.read(sink, "traces", |item, sink| {
        url::http_url(item, sink, file_dir)
    });
    let is_on = access.good().unwrap_or_default();
    Log {
        level: level.good().unwrap_or_default(),
        format: format.good().unwrap_or_default(),
        access: is_on.then(|| AccessLog {
            sample: sample.good().unwrap_or(Share::ALL),
            file: file.good(),
        }),
        traces: traces.good(),
    }
}
