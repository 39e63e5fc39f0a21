//! Child processes: the program `crossfade` itself, or another one. Whatever happens to its test, a child is ended.

use super::{PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

type Pipe = Box<dyn Read + Send>;

/// A running child.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Whether it leads a group of processes, which ends with it.
    leads: bool,
    said: Arc<Mutex<String>>,
    listening: Vec<JoinHandle<()>>,
}

/// The program `crossfade` in a folder, without colours.
pub(crate) fn crossfade(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

impl Program {
    /// Starts a program; what it says on stdout and stderr is kept.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_mute(command)
    }

    /// The same for a program that starts others, which may outlive it: none outlives the test.
    #[track_caller]
    pub(crate) fn start_group(mut command: Command) -> Self {
        command.process_group(0);
        let mut program = Self::start(command);
        program.leads = true;
        program
    }

    /// The same with the stdout that the command has: only what it says on stderr is kept.
    #[track_caller]
    pub(crate) fn start_mute(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Mutex::new(String::new()));
        let out = child.stdout.take().map(|pipe| Box::new(pipe) as Pipe);
        let err = child.stderr.take().map(|pipe| Box::new(pipe) as Pipe);
        let listen = |pipe: Pipe| {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    *said.lock().unwrap() += &(line + "\n");
                }
            })
        };
        let listening = [out, err].into_iter().flatten().map(listen).collect();
        Self {
            child,
            leads: false,
            said,
            listening,
        }
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this, and returns the rest of the first line that has it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let start = Instant::now();
        loop {
            let said = self.said();
            if let Some(rest) = said.lines().find_map(|line| line.split_once(part)) {
                return rest.1.to_owned();
            }
            let status = self.child.try_wait().unwrap();
            assert!(
                start.elapsed() < PATIENCE && (status.is_none() || !self.is_silent()),
                "it never said {part:?} ({status:?}): {said}"
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Where `crossfade run` serves clients, and its admin API.
    #[track_caller]
    pub(crate) fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let serving = self.wait_for("serving on http://");
        let admin = self.wait_for("admin API and metrics on http://");
        (
            serving.trim().parse().unwrap(),
            admin.trim().parse().unwrap(),
        )
    }

    /// Begins to look anew how much memory it has at the most.
    #[track_caller]
    pub(crate) fn begin_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
    }

    /// Bytes of memory that it has had at the most, since then.
    #[track_caller]
    pub(crate) fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: usize = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib * 1024
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends; returns how, and everything that it said.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        for thread in self.listening.drain(..) {
            thread.join().unwrap();
        }
        (status.unwrap(), self.said())
    }

    /// Whether its pipes are closed, so that it will not say more.
    fn is_silent(&self) -> bool {
        self.listening.iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.leads {
            // Nobody may be left of it.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that ends by itself.
#[track_caller]
pub(crate) fn output(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
