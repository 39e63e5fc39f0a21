//! The next process, as the one that starts it sees it.

use crate::app::given::Held;
use crate::app::handover::channel::Channel;
use crate::app::handover::{HandoverError, Pause, Paused, VARIABLE};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// For the next process to start and read the file.
const LOAD: Duration = Duration::from_secs(30);
/// For it to be ready once it has the state; nobody can change anything meanwhile.
const BEGIN: Duration = Duration::from_secs(10);
/// What belongs to this process in particular, and must not be taken for its own by the next one.
const OWN_VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this program was started.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name or path, as it was called: what stands there by now is started.
    pub path: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A process that is to take over. Clones are one.
#[derive(Clone, Debug)]
pub(in crate::app) struct Successor {
    child: Arc<Mutex<Child>>,
    channel: Arc<Channel>,
}

/// A process that has taken over.
#[derive(Debug)]
pub(in crate::app) struct Handed {
    /// Its process id.
    pub(in crate::app) pid: u32,
    channel: Arc<Channel>,
    paused: Paused,
}

impl Successor {
    /// Starts it, and gives it the sockets.
    pub(in crate::app) fn start(program: &Program, held: &[Held]) -> Result<Self, HandoverError> {
        let (channel, theirs) = Channel::pair()?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::from(theirs));
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(HandoverError::Start)?;
        // With it goes our hold of the other end, so that its end is seen.
        drop(command);
        let successor = Self {
            child: Arc::new(Mutex::new(child)),
            channel: Arc::new(channel),
        };
        let given = held
            .iter()
            .try_for_each(|held| successor.channel.send(&held.told(), Some(held.fd())))
            .and_then(|()| successor.channel.send("all", None));
        if given.is_err() {
            successor.end();
            return Err(HandoverError::Ended);
        }
        Ok(successor)
    }

    /// Blocks until it has taken over, or is gone.
    pub(in crate::app) fn take_over(
        &self,
        control: &mpsc::UnboundedSender<Pause>,
    ) -> Result<Handed, HandoverError> {
        let mut paused = None;
        let talked = converse(&self.channel, control, &mut paused);
        match (talked, paused) {
            (Ok(()), Some(paused)) => Ok(Handed {
                pid: self.child().id(),
                channel: Arc::clone(&self.channel),
                paused,
            }),
            (talked, paused) => {
                // First it is gone, then the pause ends: the state has one owner at any time.
                self.end();
                drop(paused);
                Err(talked.err().unwrap_or(HandoverError::Ended))
            }
        }
    }

    /// Ends it, whatever it does.
    pub(in crate::app) fn end(&self) {
        let mut child = self.child();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handed {
    /// Lets it go its way: nothing of it comes back.
    pub(in crate::app) fn release(self) {
        self.paused.for_good();
        // It waits for this no longer than it must.
        let _ = self.channel.send("yours", None);
    }
}

/// What is said from `all` on; `paused` is there as soon as the pause has begun.
fn converse(
    channel: &Channel,
    control: &mpsc::UnboundedSender<Pause>,
    paused: &mut Option<Paused>,
) -> Result<(), HandoverError> {
    expect(channel, "state?", LOAD)?;
    *paused = Some(Paused::begin(control)?);
    channel.send("state", None)?;
    expect(channel, "ready", BEGIN)
}

fn expect(channel: &Channel, word: &str, within: Duration) -> Result<(), HandoverError> {
    match channel.receive(within) {
        Ok(Some(packet)) if packet.text == word => Ok(()),
        Ok(Some(packet)) => Err(HandoverError::Unexpected(packet.text)),
        Ok(None) => Err(HandoverError::Ended),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(HandoverError::Silent(within)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// What became of the pause.
    #[derive(Debug, PartialEq, Eq)]
    enum Pausing {
        Never,
        /// It ended, and nobody had the state when it did.
        Ended,
        /// It ended while another process lived that had the state.
        EndedEarly,
        ForGood,
    }

    /// Lets one take over that says these words and leaves.
    fn with(words: &[&str]) -> (Result<(), String>, Pausing) {
        let (channel, theirs) = Channel::pair().unwrap();
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let successor = Successor {
            child: Arc::new(Mutex::new(child)),
            channel: Arc::new(channel),
        };
        let (control, mut pauses) = mpsc::unbounded_channel::<Pause>();
        let watched = successor.clone();
        let controlling = thread::spawn(move || {
            let Some(pause) = pauses.blocking_recv() else {
                return Pausing::Never;
            };
            pause.paused.send(()).unwrap();
            if pause.over.blocking_recv().is_ok() {
                Pausing::ForGood
            } else if watched.child().try_wait().unwrap().is_some() {
                Pausing::Ended
            } else {
                Pausing::EndedEarly
            }
        });
        let other = Channel::new(theirs).unwrap();
        for word in words {
            other.send(word, None).unwrap();
        }
        // What it has said can still be read; then comes its end.
        drop(other);
        let outcome = successor.take_over(&control);
        drop(control);
        let outcome = outcome
            .map(Handed::release)
            .map_err(|error| error.to_string());
        let pausing = controlling.join().unwrap();
        successor.end();
        (outcome, pausing)
    }

    #[test]
    fn one_that_fails_is_gone_before_anything_goes_on() {
        let ended = || Err(HandoverError::Ended.to_string());
        assert_eq!(with(&[]), (ended(), Pausing::Never));
        let said = |word: &str| Err(HandoverError::Unexpected(word.to_owned()).to_string());
        assert_eq!(with(&["hello"]), (said("hello"), Pausing::Never));
        // Before it has the state it can't be ready.
        assert_eq!(with(&["ready"]), (said("ready"), Pausing::Never));
        let (outcome, pausing) = with(&["state?"]);
        assert!(outcome.is_err());
        assert_eq!(pausing, Pausing::Ended);
    }

    #[test]
    fn the_pause_ends_only_with_the_one_that_has_the_state() {
        let (channel, theirs) = Channel::pair().unwrap();
        let other = Channel::new(theirs).unwrap();
        let (control, mut pauses) = mpsc::unbounded_channel::<Pause>();
        for ready in [true, false] {
            other.send("state?", None).unwrap();
            let word = if ready { "ready" } else { "sorry" };
            let mut paused = None;
            let talked = thread::scope(|scope| {
                scope.spawn(|| {
                    let pause = pauses.blocking_recv().unwrap();
                    pause.paused.send(()).unwrap();
                    assert_eq!(other.receive(LOAD).unwrap().unwrap().text, "state");
                    other.send(word, None).unwrap();
                });
                converse(&channel, &control, &mut paused)
            });
            assert_eq!((talked.is_ok(), paused.is_some()), (ready, true));
        }
    }
}
