//! What there is to show of a running demo, at one moment. Values only: `observe.rs` fills them, `screen.rs` lays them out.

use std::time::Duration;

/// Everything that the screen shows, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// How long the demo has been running.
    pub uptime: Duration,
    /// Where clients connect, `127.0.0.1:8080`.
    pub listen: String,
    /// Where the admin API is.
    pub admin: String,
    /// The file to edit.
    pub file: String,
    /// How this program was called, for the commands to try.
    pub program: String,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteRow>,
    /// Divergences, most frequent first.
    pub fields: Vec<FieldRow>,
    /// The child processes.
    pub children: Vec<ChildRow>,
    /// Generation of the settings in force.
    pub generation: u64,
    /// Why the file's present text is not in force, in one line.
    pub rejected: Option<String>,
    /// Anything else that one has to know, such as an override.
    pub notice: Option<String>,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteRow {
    /// Its name.
    pub name: String,
    /// The share of keys that new serves, 0..=1.
    pub share: f64,
    /// Requests a second that each side served, old first.
    pub served: [f64; 2],
    /// Median and 99th percentile of each side in milliseconds; `None` before the first answer.
    pub latency: [Option<(f64, f64)>; 2],
    /// Mismatches over trials; `None` before the first trial.
    pub diff_rate: Option<f64>,
    /// Pairs that could be compared.
    pub trials: u64,
}

/// One kind of divergence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRow {
    /// The route.
    pub route: String,
    /// The generalised path.
    pub field: String,
    /// How it differs.
    pub kind: String,
    /// Pairs that differ so.
    pub count: u64,
}

/// One child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildRow {
    /// `old`, `new` or `load`.
    pub name: &'static str,
    /// Its process id, or its last one.
    pub pid: u32,
    /// Whether it runs.
    pub state: ChildState,
    /// What it said last.
    pub said: String,
}

/// Whether a child runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It has not said yet that it is ready.
    Starting,
    /// It is ready.
    Running,
    /// It has ended; how.
    Down(String),
}
