//! What the service manager is told, in systemd's protocol: a datagram of lines to the socket that it named (`sd_notify(3)`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The service manager that started this process, if one did that wants to be told. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
    /// It hears another process from now on.
    succeeded: Arc<AtomicBool>,
}

impl Supervisor {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. A watchdog is for the process with that id, or for whoever reads it.
    ///
    /// # Errors
    /// Where the socket's name is none.
    pub fn new(
        socket: Option<&OsStr>,
        watchdog: Option<&str>,
        watchdog_of: Option<&str>,
    ) -> io::Result<Self> {
        let ours = watchdog_of.is_none_or(|id| id.parse() == Ok(std::process::id()));
        let watchdog = watchdog
            .filter(|_| ours)
            .and_then(|micros| micros.parse().ok())
            .filter(|micros| *micros > 0)
            .map(Duration::from_micros);
        Ok(Self {
            address: socket.map(address).transpose()?,
            watchdog,
            succeeded: Arc::default(),
        })
    }

    /// How often it wants to hear that all is well: half of the time after which it gives up.
    pub(super) fn pulse(&self) -> Option<Duration> {
        self.address
            .as_ref()
            .and(self.watchdog)
            .map(|time| time / 2)
    }

    /// Clients are served; also after a reload.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The settings are read again.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Another process serves from now on, and tells how it goes; this one is silent.
    pub(super) fn succeeded_by(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}"));
        self.succeeded.store(true, Relaxed);
    }

    /// A stop has begun.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// All is well.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, lines: &str) {
        let Some(address) = &self.address else {
            return;
        };
        if self.succeeded.load(Relaxed) {
            return;
        }
        let told = UnixDatagram::unbound().and_then(|socket| {
            // A manager that hangs must not stop what it watches over.
            socket.set_nonblocking(true)?;
            socket.send_to_addr(lines.as_bytes(), address)
        });
        if let Err(error) = told {
            tracing::warn!(%error, "the service manager can't be told: {}", lines.replace('\n', " "));
        }
    }
}

/// A path, or after `@` a name that is none.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(OsString::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn it_is_told_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@crossfade-test-{}", std::process::id());
        for name in [path.as_os_str(), name.as_ref()] {
            let socket = UnixDatagram::bind_addr(&address(name).unwrap()).unwrap();
            let supervisor = Supervisor::new(Some(name), None, None).unwrap();
            supervisor.ready();
            assert_eq!(heard(&socket), "READY=1");
            supervisor.reloading();
            let (word, micros) = {
                let said = heard(&socket);
                let (word, micros) = said.split_once("\nMONOTONIC_USEC=").unwrap();
                (word.to_owned(), micros.parse::<u64>().unwrap())
            };
            assert_eq!(word, "RELOADING=1");
            // Since the machine's start, as systemd wants it, and not since 1970.
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            assert!((micros as f64) < (uptime + 60.0) * 1e6, "{micros}");
        }
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let pulse = |usec, of: Option<&str>| {
            let name = Some("/nowhere".as_ref());
            Supervisor::new(name, usec, of).unwrap().pulse()
        };
        let own = std::process::id().to_string();
        let half = Some(Duration::from_secs(1));
        assert_eq!(pulse(Some("2000000"), None), half);
        assert_eq!(pulse(Some("2000000"), Some(&own)), half);
        assert_eq!(pulse(Some("2000000"), Some("1")), None);
        assert_eq!(pulse(Some("0"), None), None);
        assert_eq!(pulse(Some("soon"), None), None);
        assert_eq!(pulse(None, None), None);
        let nobody = Supervisor::new(None, Some("2000000"), None).unwrap();
        assert_eq!(nobody.pulse(), None);
        // Nobody to tell is no error.
        nobody.ready();
    }
}
