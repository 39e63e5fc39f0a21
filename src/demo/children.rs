//! The child processes of the demo: started, watched, started again when asked, ended with the demo.

use crate::demo::error::DemoError;
use crate::demo::sides::Sides;
use crate::demo::view::{ChildRow, ChildState};
use crate::side::Side;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// A service has decoded its data by then, on any machine that can compile this.
const START: Duration = Duration::from_secs(30);
/// How often one looks whether a child has ended that says nothing.
const LOOK: Duration = Duration::from_millis(50);
/// A child that was told to end has ended by then, or is killed.
const END: Duration = Duration::from_secs(2);

/// What a child process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The service of a side.
    Backend(Side),
    /// The load.
    Load,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Backend(side) => side.name(),
            Self::Load => "load",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Backend(Side::Old) => &["demo", "backend", "old"],
            Self::Backend(Side::New) => &["demo", "backend", "new"],
            Self::Load => &["demo", "load"],
        }
    }

    fn address(self, sides: &Sides) -> SocketAddr {
        match self {
            Self::Backend(side) => sides.backend(side),
            Self::Load => sides.proxy,
        }
    }
}

/// The child processes. Dropping it ends them.
#[derive(Debug)]
pub struct Children {
    executable: PathBuf,
    config: PathBuf,
    all: Vec<Member>,
    sender: Sender<Word>,
    words: Receiver<Word>,
}

#[derive(Debug)]
struct Member {
    role: Role,
    /// `None` once it has ended. Its standard input stays open, for it lives as long as that does.
    process: Option<Process>,
    row: ChildRow,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Both end when the child's outputs are closed.
    listeners: [JoinHandle<()>; 2],
}

/// What a child said, on either of its outputs.
#[derive(Debug)]
struct Word {
    pid: u32,
    text: String,
    ready: Ready,
}

/// Whether a word means that the child is ready: all on standard output do, complaints do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Yes,
    NotYet,
}

impl Children {
    /// No children yet. They will be processes of this executable and name this file in their errors.
    #[must_use]
    pub fn new(executable: PathBuf, config: PathBuf) -> Self {
        let (sender, words) = mpsc::channel();
        Self {
            executable,
            config,
            all: Vec::new(),
            sender,
            words,
        }
    }

    /// Starts one more child.
    pub fn start(&mut self, role: Role, sides: &Sides) -> Result<(), DemoError> {
        let (process, row) = self.spawn(role, sides)?;
        self.all.push(Member {
            role,
            process: Some(process),
            row,
        });
        Ok(())
    }

    /// Waits until every child has said that it is ready; one that ends before is an error.
    pub fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        let mut waited = Duration::ZERO;
        loop {
            self.look();
            for member in &self.all {
                if let ChildState::Down(how) = &member.row.state {
                    let (name, how, said) = (member.row.name, how.clone(), member.row.said.clone());
                    return Err(DemoError::Child { name, how, said });
                }
            }
            let Some(starting) = self
                .all
                .iter()
                .find(|member| member.row.state == ChildState::Starting)
            else {
                return Ok(());
            };
            let name = starting.row.name;
            match self.words.recv_timeout(LOOK) {
                Ok(word) => self.hear(&word),
                Err(RecvTimeoutError::Timeout) if waited < START => waited += LOOK,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let how = format!("it was not ready within {} s", START.as_secs());
                    return Err(DemoError::Child {
                        name,
                        how,
                        said: String::new(),
                    });
                }
            }
        }
    }

    /// Takes in what the children said and which have ended.
    pub fn look(&mut self) {
        while let Ok(word) = self.words.try_recv() {
            self.hear(&word);
        }
        let mut last_words = Vec::new();
        for member in &mut self.all {
            let ended = member
                .process
                .as_mut()
                .map(|process| process.child.try_wait());
            if let Some(Ok(Some(status))) = ended {
                member.row.state = ChildState::Down(told(status));
                last_words.extend(
                    member
                        .process
                        .take()
                        .into_iter()
                        .flat_map(|process| process.listeners),
                );
            }
        }
        for listener in last_words {
            // A listener has nothing that panics, and what it heard is in the channel.
            let _ = listener.join();
        }
        while let Ok(word) = self.words.try_recv() {
            self.hear(&word);
        }
    }

    /// Starts those again that are down, at the addresses in force now.
    pub fn restart(&mut self, sides: &Sides) -> Result<(), DemoError> {
        self.look();
        for place in 0..self.all.len() {
            if self.all[place].process.is_none() {
                let (process, row) = self.spawn(self.all[place].role, sides)?;
                self.all[place].process = Some(process);
                self.all[place].row = row;
            }
        }
        Ok(())
    }

    /// Ends the children of a role at once, for a reason that the screen shows.
    pub fn halt(&mut self, role: Role, why: &str) {
        for member in self.all.iter_mut().filter(|member| member.role == role) {
            if let Some(process) = member.process.take() {
                end([process.child]);
                member.row.state = ChildState::Down(why.to_owned());
            }
        }
    }

    /// The children as the screen shows them.
    #[must_use]
    pub fn rows(&self) -> Vec<ChildRow> {
        self.all.iter().map(|member| member.row.clone()).collect()
    }

    fn spawn(&self, role: Role, sides: &Sides) -> Result<(Process, ChildRow), DemoError> {
        let name = role.name();
        let mut child = Command::new(&self.executable)
            .args(role.arguments())
            .args([
                "--child",
                "--address",
                &role.address(sides).to_string(),
                "--config",
            ])
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C at the terminal is for the demo, which ends its children in order.
            .process_group(0)
            .spawn()
            .map_err(|source| DemoError::Spawn { name, source })?;
        let pid = child.id();
        let output = child.stdout.take().expect("it was asked for");
        let complaints = child.stderr.take().expect("it was asked for");
        let listeners = [
            self.listen(pid, output, Ready::Yes),
            self.listen(pid, complaints, Ready::NotYet),
        ];
        let row = ChildRow {
            name,
            pid,
            state: ChildState::Starting,
            said: String::new(),
        };
        Ok((Process { child, listeners }, row))
    }

    fn listen(&self, pid: u32, from: impl Read + Send + 'static, ready: Ready) -> JoinHandle<()> {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if sender
                    .send(Word {
                        pid,
                        text: line,
                        ready,
                    })
                    .is_err()
                {
                    return;
                }
            }
        })
    }

    fn hear(&mut self, word: &Word) {
        let Some(member) = self
            .all
            .iter_mut()
            .find(|member| member.row.pid == word.pid)
        else {
            return;
        };
        if !word.text.trim().is_empty() {
            // What went wrong is clear from where it is shown.
            member.row.said = word.text.trim_start_matches("error: ").to_owned();
        }
        if word.ready == Ready::Yes && member.row.state == ChildState::Starting {
            member.row.state = ChildState::Running;
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        end(self
            .all
            .iter_mut()
            .filter_map(|member| member.process.take())
            .map(|process| process.child)
            .rev());
    }
}

/// Closes what the children live on, waits for them a little while, and kills who is left.
fn end(processes: impl IntoIterator<Item = Child>) {
    let mut left: Vec<Child> = processes.into_iter().collect();
    for process in &mut left {
        drop(process.stdin.take());
    }
    let step = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    while waited < END {
        left.retain_mut(|process| matches!(process.try_wait(), Ok(None)));
        if left.is_empty() {
            return;
        }
        std::thread::sleep(step);
        waited += step;
    }
    for mut process in left {
        // It may have ended just now; then there is nothing to kill and nothing to wait for.
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
