//! `run` below a service manager: what it tells (`sd_notify`), and the sockets that it is given (`LISTEN_FDS`).

use crate::harness::client::{admin, get};
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Finish, Manager, Reply, Setup, http2, wait_until};
use crossfade::store::StateDir;
use rustix::process::Signal;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// A folder with a routes.toml, and a backend behind it, which answers "ok" if nothing else is said.
struct Place {
    folder: TempDir,
    backend: Backend,
}

impl Place {
    fn new(edit: impl FnOnce(String) -> String) -> Self {
        Self::before(Backend::text("ok"), edit)
    }

    fn before(backend: Backend, edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = edit(Setup::both(&backend).text());
        fs::write(folder.path().join("routes.toml"), text).unwrap();
        Self { folder, backend }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `crossfade run` with these sockets as a service manager gives them: descriptors from 3 on. A shell moves them there from its stdin and
    /// stdout.
    fn run_with(&self, sockets: Vec<OwnedFd>, names: &str) -> Program {
        let script = "LISTEN_PID=$$ exec \"$0\" run 3<&0 4<&1 </dev/null >&2";
        let mut command = Command::new("sh");
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_crossfade")])
            .current_dir(self.path())
            .env("LISTEN_FDS", sockets.len().to_string())
            .env("LISTEN_FDNAMES", names)
            .env("NO_COLOR", "1");
        let mut sockets = sockets.into_iter();
        command.stdin(sockets.next().map_or_else(Stdio::null, Stdio::from));
        command.stdout(sockets.next().map_or_else(Stdio::null, Stdio::from));
        Program::start_mute(command)
    }
}

/// A socket that listens, and a second hold of it to be given away.
fn listening(address: &str) -> (SocketAddr, TcpListener, OwnedFd) {
    let listener = TcpListener::bind(address).unwrap();
    let given = listener.try_clone().unwrap();
    (listener.local_addr().unwrap(), listener, given.into())
}

fn naming(listen: SocketAddr, admin: SocketAddr) -> impl FnOnce(String) -> String {
    move |text| {
        text.replace(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"{listen}\""),
        )
        .replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{admin}\""))
    }
}

#[test]
fn it_tells_when_it_is_ready_reloads_and_stops() {
    let place = Place::new(|text| text);
    let manager = Manager::at(place.path());
    let mut command = crossfade(place.path(), &["run"]);
    manager.name_to(&mut command);
    let mut program = Program::start(command);
    assert_eq!(manager.told(), "READY=1");
    let (address, admin_address) = program.addresses();
    assert_eq!(get(address, "/").text(), "ok");

    let text = fs::read_to_string(place.path().join("routes.toml")).unwrap();
    fs::write(
        place.path().join("routes.toml"),
        format!("# edited\n{text}"),
    )
    .unwrap();
    program.signal(Signal::HUP);
    let reloading = manager.told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(manager.told(), "READY=1");
    // Ready again is said once the edit is in force, and not before.
    let config = admin(admin_address, "GET", "/api/config", None).json();
    assert_eq!(config["generation"], 2);

    program.signal(Signal::TERM);
    assert_eq!(manager.told(), "STOPPING=1");
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn a_watchdog_is_fed() {
    let place = Place::new(|text| text);
    let manager = Manager::at(place.path());
    let mut command = crossfade(place.path(), &["run"]);
    manager.name_to(&mut command);
    command.env("WATCHDOG_USEC", "20000");
    let program = Program::start(command);
    let mut fed = 0;
    while fed < 5 {
        fed += usize::from(manager.told() == "WATCHDOG=1");
    }
    drop(program);
}

/// The thread that follows the file hangs on a pipe that nobody reads, where the copy of the file is written first. How long it has to be silent is told
/// by another process.
#[test]
fn a_watchdog_is_not_fed_while_a_thread_hangs() {
    let [(place, manager, mut program), (_place, yardstick, _program)] = [(); 2].map(|()| {
        let place = Place::new(|text| text);
        let manager = Manager::at(place.path());
        let mut command = crossfade(place.path(), &["run"]);
        manager.name_to(&mut command);
        command.env("WATCHDOG_USEC", "20000");
        (place, manager, Program::start(command))
    });
    program.addresses();
    let copy = StateDir::new(place.path().join("state")).last_good_path();
    let name = copy.file_name().unwrap().to_str().unwrap();
    let pipe = copy.with_file_name(format!(".{name}.{}.tmp", program.id()));
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let file = place.path().join("routes.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# edited\n{text}")).unwrap();
    wait_until("nothing is told", || {
        while manager.hears_more() {}
        for _ in 0..20 {
            yardstick.told();
        }
        !manager.hears_more()
    });
    // It goes on as soon as somebody reads.
    let _reader = fs::File::open(&pipe).unwrap();
    assert_eq!(manager.told(), "WATCHDOG=1");
}

/// Whoever connects while nothing runs waits in the socket's queue, and is answered by the next process.
#[test]
fn sockets_at_the_addresses_of_the_file_are_used_and_lose_nobody_between_two_processes() {
    let (listen, _listener, clients) = listening("127.0.0.1:0");
    let (api, _api_listener, api_given) = listening("127.0.0.1:0");
    let place = Place::new(naming(listen, api));
    let mut early = Client::connect(listen);
    early.send_request("GET", "/", &[], b"");
    // In another order than in the file, and with the names that systemd gives where the unit gives none.
    let again = [api_given.try_clone().unwrap(), clients.try_clone().unwrap()];
    let mut program = place.run_with(vec![api_given, clients], "cf.socket:cf.socket");
    assert_eq!(program.addresses(), (listen, api));
    assert_eq!(early.answer("GET").text(), "ok");
    drop(early);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().0.code(), Some(0));

    let mut between = Client::connect(listen);
    between.send_request("GET", "/", &[], b"");
    let mut program = place.run_with(again.into(), "");
    assert_eq!(program.addresses(), (listen, api));
    assert_eq!(between.answer("GET").text(), "ok");
}

/// Over HTTP/2 a client that hears that its connection ends asks the rest on a new one, which waits for the next process.
#[test]
fn restarts_lose_no_request_over_http_2() {
    let (listen, _listener, clients) = listening("127.0.0.1:0");
    let echo = Backend::start(|seen| Reply::text(seen.target.clone()));
    let place = Place::before(echo, |text| {
        let listens = format!("listen = {{ address = \"{listen}\", h2c = true }}");
        text.replace("listen = \"127.0.0.1:0\"", &listens)
    });
    let done = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let finish = Finish(&done);
        let asking = scope.spawn(|| http2::ask_until(&done, listen));
        for _ in 0..10 {
            let mut program = place.run_with(vec![clients.try_clone().unwrap()], "");
            assert_eq!(program.addresses().0, listen);
            let before = place.backend.count();
            wait_until("it serves", || {
                place.backend.count() > before + 20 || asking.is_finished()
            });
            program.signal(Signal::TERM);
            assert_eq!(program.wait().0.code(), Some(0));
        }
        let _last = place.run_with(vec![clients.try_clone().unwrap()], "");
        drop(finish);
        asking.join().unwrap()
    });
    assert_eq!(place.backend.count(), asked);
}

#[test]
fn a_name_is_enough() {
    let (listen, _listener, clients) = listening("127.0.0.1:0");
    let (api, _api_listener, api_given) = listening("127.0.0.1:0");
    let place = Place::new(|text| text);
    let mut program = place.run_with(vec![api_given, clients], "admin:listen");
    assert_eq!(program.addresses(), (listen, api));
    assert_eq!(get(listen, "/").text(), "ok");
    assert_eq!(admin(api, "GET", "/readyz", None).status, 200);
}

#[test]
fn a_unix_socket_stays_the_property_of_whoever_made_it() {
    let place =
        Place::new(|text| text.replace("listen = \"127.0.0.1:0\"", "listen = \"unix:cf.sock\""));
    let path = place.path().join("cf.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let given = OwnedFd::from(listener.try_clone().unwrap());
    let mut program = place.run_with(vec![given], "");
    program.wait_for("serving on unix:");
    assert_eq!(Client::connect_unix(&path).get("/").text(), "ok");
    program.signal(Signal::TERM);
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(path.exists());
}

#[test]
fn a_socket_that_nobody_wants_is_told() {
    let place = Place::new(|text| text);
    let refused = |socket: OwnedFd, name: &str, part: &str| {
        let (status, said) = place.run_with(vec![socket], name).wait();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    };
    let (address, _listener, given) = listening("127.0.0.1:0");
    refused(
        given,
        "web",
        &format!("\"web\" that was given to this process can't be used: it listens at {address}"),
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    refused(udp.into(), "listen", "\"listen\"");
    let (address, listener, _given) = listening("127.0.0.1:0");
    let connection = std::net::TcpStream::connect(address).unwrap();
    refused(connection.into(), "listen", "it does not listen");
    drop(listener);
    // Sockets for another process are none of ours.
    let mut command = crossfade(place.path(), &["run"]);
    command.env("LISTEN_FDS", "7").env("LISTEN_PID", "1");
    let mut program = Program::start(command);
    program.addresses();
    wait_until("it says so", || program.said().contains("admin API"));
}
