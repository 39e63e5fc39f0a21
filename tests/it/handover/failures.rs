//! A process that does not take over changes nothing: the one that serves goes on, and says so.

use super::{Line, Place, set};
use crate::harness::client::get;
use crate::harness::{Client, wait_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The program under a path of its own, so that something else can be put there.
fn moved(folder: &Path) -> Command {
    let own = folder.join("crossfade");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_crossfade"), &own).unwrap();
    let mut command = Command::new(own);
    command
        .arg("run")
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null());
    command
}

/// Puts a script in the program's place.
fn replace(folder: &Path, script: &str) {
    let draft = folder.join("script");
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(draft, folder.join("crossfade")).unwrap();
}

/// Asks for a hand-over that fails, and checks that all goes on.
#[track_caller]
fn fails(line: &Line, count: f64, part: &str) {
    line.signal(Signal::USR2);
    wait_until("the failure is counted, and told", || {
        line.failures() == count && line.said("this process goes on") as f64 >= count
    });
    let said = line.program.said();
    let line_said = said
        .lines()
        .rfind(|line| line.contains("this process goes on"));
    assert!(line_said.unwrap().contains(part), "{said}");
    set(line, "new");
    assert_eq!(get(line.address, "/").text(), "new");
    set(line, "old");
    assert_eq!(get(line.address, "/").text(), "old");
}

#[test]
fn a_file_that_went_bad_starts_nothing() {
    let place = Place::new(|setup| setup);
    let mut line = Line::start(place.path());
    let good = place.text();
    place.write(&good.replace("[migration]", "[migrations]"));
    wait_until("the edit is refused", || {
        !line.config()["last_error"].is_null()
    });
    fails(&line, 1.0, "ended before it was ready");
    // Not even from the copy of the last good one: whoever asks for a new process wants what the file says.
    assert!(line.program.said().contains("can't be used"));
    place.write(&good);
    wait_until("the file is good again", || {
        line.config()["last_error"].is_null()
    });
    line.hand_over();
    assert_eq!(line.failures(), 0.0);
    assert_eq!(line.config()["override"]["serve"], "old");
    line.end();
}

#[test]
fn a_program_that_is_gone_or_another_one_starts_nothing() {
    let place = Place::new(|setup| setup);
    let mut line = Line::of(moved(place.path()));
    fs::remove_file(place.path().join("crossfade")).unwrap();
    fails(&line, 1.0, "can't be started");
    replace(place.path(), "exit 3");
    fails(&line, 2.0, "ended before it was ready");
    // A better one is put there, and taken.
    let real = format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_crossfade"));
    replace(place.path(), &real);
    line.hand_over();
    assert_eq!(line.config()["override"]["serve"], "old");
    line.end();
}

/// An address that is taken is found out before the state changes hands.
#[test]
fn an_address_that_is_taken_starts_nothing() {
    let place = Place::new(|setup| setup);
    place.write(&place.text().replace(
        "listen = \"127.0.0.1:0\"",
        "listen = [\"127.0.0.1:0\", \"unix:cf.sock\"]",
    ));
    let line = Line::start(place.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = place.text();
    place.write(&text.replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{address}\"")));
    wait_until("the edit is seen", || {
        line.config()["restart_required"][0] == "server.admin"
    });
    fails(&line, 1.0, "ended before it was ready");
    // The one that failed had this socket, but never its file.
    let mut client = Client::connect_unix(&place.path().join("cf.sock"));
    assert_eq!(client.get("/").text(), "old");
    drop(client);
    line.end();
}

#[test]
fn a_stop_calls_it_off() {
    let place = Place::new(|setup| setup);
    let line = Line::of(moved(place.path()));
    replace(place.path(), "echo waits >&2; exec sleep 600");
    line.signal(Signal::USR2);
    wait_until("it is started", || line.said("waits") == 1);
    line.signal(Signal::USR2);
    wait_until("a second one is not", || line.said("already") == 1);
    assert_eq!(get(line.address, "/").text(), "old");
    // The end of its output says that the other one is gone too.
    let said = line.end();
    assert!(!said.contains("has taken over"), "{said}");
}

/// A process that takes over and finds the one before gone is the only one that can serve.
#[test]
fn the_next_process_goes_on_alone_if_the_one_before_dies() {
    let place = Place::new(|setup| setup);
    let line = Line::of(moved(place.path()));
    // It has started, and waits with its first words until the one before is gone.
    let script = format!(
        "echo \"waits as $$\" >&2; while kill -0 $PPID 2>/dev/null && [ $PPID = {} ]; do read -r stat < /proc/{}/stat || break; case \"$stat\" in *') Z '*) break;; esac; done; exec {} \"$@\"",
        line.pid.as_raw_nonzero(),
        line.pid.as_raw_nonzero(),
        env!("CARGO_BIN_EXE_crossfade")
    );
    replace(place.path(), &script);
    line.signal(Signal::USR2);
    wait_until("it is started", || line.said("waits as") == 1);
    // A second one is refused once the first has been given everything, which may be later than it starts.
    line.signal(Signal::USR2);
    wait_until("it has everything", || line.said("already") == 1);
    line.signal(Signal::KILL);
    wait_until("it serves alone", || line.said("serving on") == 2);
    assert!(line.program.said().contains("the process before is gone"));
    assert_eq!(get(line.address, "/").text(), "old");
    assert_eq!(line.config()["generation"], 1);
    drop(line);
}
