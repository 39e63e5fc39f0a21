//! The thread that writes lines. It may hang for as long as a disk does: nobody waits for it.

use crate::telemetry::access::line;
use crate::telemetry::access::record::Record;
use crate::telemetry::cells::CounterCell;
use crate::telemetry::labels::LostLine;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long lines may gather before they are written together: to wake a thread for each would cost the one that tells it.
const PAUSE: Duration = Duration::from_millis(10);

/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;

/// Who may read a file that is made: paths and addresses are nobody else's business.
const MODE: u32 = 0o640;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    Line {
        /// The name of the file; `None` for stdout.
        place: Option<Arc<Path>>,
        record: Box<Record>,
    },
    /// Something has changed.
    Look,
}

/// What the writer and those who tell it share.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) lost: [CounterCell; LostLine::ALL.len()],
    pub(super) reopen: AtomicBool,
    pub(super) stop: AtomicBool,
}

impl Common {
    pub(super) fn lose(&self, why: LostLine, lines: u64) {
        self.lost[why as usize].add(lines);
    }
}

/// Writes lines to the file that each of them is for.
#[derive(Debug)]
pub(super) struct Writer {
    common: Arc<Common>,
    /// Where lines go, by name; `None` for stdout.
    place: Option<Arc<Path>>,
    open: Option<File>,
    /// The last line written is not whole: the next one must not be taken for its end.
    torn: bool,
    /// Whether it was told that lines are lost.
    failing: bool,
    text: String,
}

impl Writer {
    pub(super) fn new(common: Arc<Common>) -> Self {
        Self {
            common,
            place: None,
            open: None,
            torn: false,
            failing: false,
            text: String::new(),
        }
    }

    /// Writes until nobody tells it anything any more, or it is to stop.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            self.take(first);
            while let Ok(next) = messages.try_recv() {
                self.take(next);
            }
            self.flush();
            if self.common.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn take(&mut self, message: Message) {
        let Message::Line { place, record } = message else {
            return;
        };
        // Lines of another edit of the file may be for another place.
        if self.place != place {
            self.flush();
            self.place = place;
            self.open = None;
            self.torn = false;
        }
        line::write(&record, &mut self.text);
        if self.text.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what has gathered, or counts it as lost.
    fn flush(&mut self) {
        if self.common.reopen.swap(false, Ordering::Relaxed) {
            self.open = None;
        }
        if self.text.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let mut left = text.as_bytes();
        let outcome = self.write(&mut left);
        if let Err(error) = &outcome {
            self.torn |= left.len() < text.len()
                && !text.as_bytes()[..text.len() - left.len()].ends_with(b"\n");
            let lost = left.iter().filter(|byte| **byte == b'\n').count();
            self.common.lose(LostLine::Write, lost as u64);
            // It may be another one by now.
            self.open = None;
            if !self.failing {
                tracing::error!(%error, file = ?self.place, "the access log can't be written: lines are lost");
            }
        } else if self.failing {
            tracing::info!(file = ?self.place, "the access log is written again");
        }
        self.failing = outcome.is_err();
        self.text = text;
        self.text.clear();
    }

    /// Writes all of a text, or leaves what could not be written.
    fn write(&mut self, left: &mut &[u8]) -> io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            None => self.open.insert(open(self.place.as_deref())?),
        };
        if self.torn {
            file.write_all(b"\n")?;
            self.torn = false;
        }
        while !left.is_empty() {
            match file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Lines are added at the end, so that two processes may write to one file while one takes over from the other.
fn open(place: Option<&Path>) -> io::Result<File> {
    match place {
        Some(place) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(place),
        // Not by way of the library's own buffer, whose errors are not told.
        None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
    }
}
