//! Packets of text between two processes, each with a descriptor or without.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Bytes of the longest packet: a key, and the path of a socket.
const LONGEST: usize = 8 * 1024;
/// For the other end to take a packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What came.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) text: String,
    pub(super) fd: Option<OwnedFd>,
}

impl Channel {
    /// Both ends.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self::new(ours)?, theirs))
    }

    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        Ok(Self(socket))
    }

    pub(super) fn send(&self, text: &str, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = fd.into_iter().collect();
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let bytes = [IoSlice::new(text.as_bytes())];
        retry_on_intr(|| sendmsg(&self.0, &bytes, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// The next packet; `None` if the other end is closed, an error of kind `TimedOut` if nothing comes in time.
    pub(super) fn receive(&self, within: Duration) -> io::Result<Option<Packet>> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(within))?;
        let mut text = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut buffers = [IoSliceMut::new(&mut text)];
            recvmsg(
                self.0.as_fd(),
                &mut buffers,
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let received = match received {
            Ok(received) => received,
            // It closed its end with something unread.
            Err(Errno::CONNRESET) => return Ok(None),
            Err(Errno::AGAIN) => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(ErrorKind::InvalidData.into());
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let text = std::str::from_utf8(&text[..received.bytes])
            .map_err(|_| ErrorKind::InvalidData)?
            .to_owned();
        Ok(Some(Packet { text, fd }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn packets_come_whole_in_order_and_with_what_they_carry() {
        let (one, other) = Channel::pair().unwrap();
        let other = Channel::new(other).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        one.send("first", Some(listener.as_fd())).unwrap();
        one.send("second", None).unwrap();
        drop(listener);
        let first = other.receive(PATIENCE).unwrap().unwrap();
        assert_eq!(first.text, "first");
        let listener = TcpListener::from(first.fd.unwrap());
        TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
        let second = other.receive(PATIENCE).unwrap().unwrap();
        assert_eq!(
            (second.text.as_str(), second.fd.is_none()),
            ("second", true)
        );
        let silence = other.receive(SOON).unwrap_err();
        assert_eq!(silence.kind(), ErrorKind::TimedOut);
        // Closed with something unread, as a process ends that was killed.
        other.send("unread", None).unwrap();
        one.send("unread", None).unwrap();
        drop(one);
        let rest = std::iter::from_fn(|| other.receive(PATIENCE).unwrap());
        assert!(rest.count() <= 1);
        assert!(other.send("nobody", None).is_err());
    }

    #[test]
    fn what_is_no_packet_of_ours_is_an_error() {
        let (one, other) = Channel::pair().unwrap();
        let other = Channel::new(other).unwrap();
        one.send(&"x".repeat(LONGEST + 1), None).unwrap();
        let error = other.receive(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
