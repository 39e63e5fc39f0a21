//! The process before, as the one that takes over sees it.

use crate::app::failure::StartError;
use crate::app::given::Given;
use crate::app::handover::channel::{Channel, Packet};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::Duration;

/// For it to give its sockets, and to stop changing its state, which may wait for requests to its admin API.
const GIVE: Duration = Duration::from_secs(30);
/// For it to say that it has let go.
const LET_GO: Duration = Duration::from_secs(5);

/// The process before.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
}

impl Predecessor {
    /// The process at the other end of stdin, and the sockets that it gives.
    ///
    /// # Errors
    /// Where stdin is something else.
    pub fn at_stdin() -> Result<(Self, Given), StartError> {
        Self::greet().map_err(StartError::Predecessor)
    }

    fn greet() -> io::Result<(Self, Given)> {
        let channel = Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?;
        let mut given = Given::default();
        loop {
            match channel.receive(GIVE)? {
                Some(Packet { text, .. }) if text == "all" => return Ok((Self { channel }, given)),
                Some(Packet { text, fd: Some(fd) }) => given.add(&text, fd)?,
                Some(_) | None => return Err(ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Waits until it has left the durable state alone. One that is gone has.
    ///
    /// # Errors
    /// Where it keeps the state.
    pub fn take_state(&self) -> Result<(), StartError> {
        let asked = self.channel.send("state?", None);
        let answer = match asked {
            Ok(()) => self.channel.receive(GIVE),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
            Err(error) => Err(error),
        };
        match answer.map_err(StartError::Predecessor)? {
            Some(packet) if packet.text == "state" => {}
            Some(_) => return Err(StartError::Predecessor(ErrorKind::InvalidData.into())),
            None => tracing::warn!("the process before is gone; going on without it"),
        }
        Ok(())
    }

    /// Says that clients are served, and waits until it has let go.
    pub fn ready(self) {
        let told = self.channel.send("ready", None);
        if let Err(error) = told.and_then(|()| self.channel.receive(LET_GO)) {
            tracing::warn!(%error, "the process before did not say that it has let go");
        }
    }
}
