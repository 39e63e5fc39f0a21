//! The demo on a terminal: it shows, it takes keys, and it gives the terminal back.

use super::process::{Addresses, folder, kill};
use crate::harness::{tool, wait_until};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A demo on a terminal of 80 columns and 24 rows that `script` makes.
struct OnTerminal {
    script: Child,
    shown: Arc<Mutex<String>>,
    folder: TempDir,
}

impl OnTerminal {
    fn start(addresses: Addresses) -> Self {
        let folder = folder(&addresses.text());
        let demo = format!(
            "stty rows 24 columns 80; exec {} demo",
            env!("CARGO_BIN_EXE_crossfade")
        );
        let mut script = Command::new(tool("script"))
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &demo,
                "/dev/null",
            ])
            .current_dir(folder.path())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut out, all) = (script.stdout.take().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut bytes) {
                all.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self {
            script,
            shown,
            folder,
        }
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// What was shown last: everything after the screen was last drawn from the top.
    fn screen(&self) -> String {
        let all = self.shown.lock().unwrap();
        let drawings: Vec<&str> = all.split("\u{1b}[1;1H").collect();
        // The last drawing may be half there.
        plain(drawings.iter().rev().nth(1).copied().unwrap_or_default())
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        wait_until(&format!("{text:?} is shown"), || {
            self.screen().contains(text)
        });
        self.screen()
    }

    /// Waits for the end, and that the terminal was given back.
    #[track_caller]
    fn end(mut self) -> Option<i32> {
        wait_until("the demo has ended", || {
            self.script.try_wait().unwrap().is_some()
        });
        wait_until("the terminal is given back", || {
            let all = self.shown.lock().unwrap();
            let given_back = |taken: &str, back: &str| all.rfind(back) > all.rfind(taken);
            given_back("\u{1b}[?1049h", "\u{1b}[?1049l") && given_back("\u{1b}[?25l", "\u{1b}[?25h")
        });
        self.script.wait().unwrap().code()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        drop(self.script.kill());
        drop(self.script.wait());
    }
}

/// The text without escape sequences; each move of the cursor begins a line.
fn plain(drawn: &str) -> String {
    let mut text = String::new();
    let mut pieces = drawn.split('\u{1b}');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(piece.len(), |at| at + 1);
        if piece[..end].ends_with('H') {
            text.push('\n');
        }
        text.push_str(&piece[end..]);
    }
    text
}

/// The process id in a child's line.
fn pid(screen: &str, child: &str) -> u32 {
    let line = screen
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{child} ")))
        .unwrap();
    let after = line.split("pid ").nth(1).unwrap();
    after.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn one_screen_shows_everything_and_r_starts_a_killed_service_again() {
    let addresses = Addresses::free();
    let mut demo = OnTerminal::start(addresses);
    let screen = demo.wait_for("$.tags[*].count");
    for part in [
        "content-tags",
        "tag-contents",
        "5.00%",
        "type",
        "edit routes.toml",
        "generation 1 is in force",
        "curl -i http://",
    ] {
        assert!(screen.contains(part), "{part:?} in {screen}");
    }
    let before = pid(&screen, "new");
    kill(before, Signal::KILL);
    demo.wait_for("down (signal 9)");
    demo.press("r");
    wait_until("another process runs", || {
        let screen = demo.screen();
        !screen.contains("down (") && !screen.contains("starting") && pid(&screen, "new") != before
    });
    demo.press("q");
    assert_eq!(demo.end(), Some(0));
    addresses.wait_until_closed();
}

#[test]
fn control_c_gives_the_terminal_back() {
    let addresses = Addresses::free();
    let mut demo = OnTerminal::start(addresses);
    demo.wait_for("is in force");
    demo.press("\u{3}");
    assert_eq!(demo.end(), Some(0));
    addresses.wait_until_closed();
}

#[test]
fn a_rejected_edit_is_shown_where_it_is_wrong() {
    let addresses = Addresses::free();
    let mut demo = OnTerminal::start(addresses);
    demo.wait_for("generation 1 is in force");
    let file = demo.folder.path().join("routes.toml");
    let edit = |from: &str, to: &str| {
        std::fs::write(&file, addresses.text().replacen(from, to, 1)).unwrap()
    };
    edit("percent = 5 ", "percent = 500 ");
    let line = addresses
        .text()
        .lines()
        .position(|line| line.starts_with("percent = 5 "))
        .unwrap()
        + 1;
    let screen = demo.wait_for("not valid: generation 1 stays in force");
    assert!(
        screen.contains(&format!("line {line}, column 11:")),
        "{screen}"
    );
    edit("percent = 5 ", "percent = 50 ");
    assert!(demo.wait_for("generation 2 is in force").contains("50.00%"));
    demo.press("q");
    assert_eq!(demo.end(), Some(0));
}
