//! What the demo shows, as lines. Pure: a [`View`] in, lines or one log line out; `terminal.rs` puts them on the terminal.
//!
//! Invariant: never more lines than rows, never wider than the columns, and no control character of an answer reaches the terminal.

use crate::demo::text::{clean, clip, clock, millis, pad, percent, rate, thousands, width};
use crate::demo::view::{ChildRow, ChildState, RouteRow, View};
use std::fmt::Write as _;

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It does not.
    Plain,
    /// The title bar.
    Bar,
    /// Names and what matters.
    Strong,
    /// Labels.
    Faint,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Something is down or refused.
    Bad,
}

/// A line of the screen: pieces of text, each in a tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(Tone, String)>);

impl Line {
    fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }

    /// The text without tones.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn fit(mut self, columns: usize) -> Self {
        let mut left = columns;
        for (_, text) in &mut self.0 {
            let (fitting, used) = clip(text, left);
            *text = fitting;
            left -= used;
        }
        self
    }
}

/// Which lines stay on a small screen: the lower, the longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keep {
    Always,
    Routes,
    State,
    Differences,
    Hints,
    Space,
    More,
}

const ROUTES_KEPT: usize = 6;
const DIFFERENCES_KEPT: usize = 3;
const DIFFERENCES_SHOWN: usize = 20;

/// The screen for a terminal of that size.
#[must_use]
pub fn lines(view: &View, columns: usize, rows: usize) -> Vec<Line> {
    let blank = || (Keep::Space, Line::default());
    let mut lines = vec![(Keep::Always, bar(view, columns)), blank()];
    lines.extend(routes(view, columns));
    lines.push(blank());
    lines.extend(differences(view, columns));
    lines.push(blank());
    lines.extend(
        view.children
            .iter()
            .map(|child| (Keep::State, child_line(child))),
    );
    lines.push(blank());
    lines.extend(settings(view));
    lines.extend(hints(view));
    while lines.len() > rows {
        let worst = lines
            .iter()
            .map(|(keep, _)| *keep)
            .max()
            .unwrap_or(Keep::Always);
        match lines.iter().rposition(|(keep, _)| *keep == worst) {
            Some(last) => drop(lines.remove(last)),
            None => break,
        }
    }
    lines
        .into_iter()
        .map(|(_, line)| line.fit(columns))
        .collect()
}

fn bar(view: &View, columns: usize) -> Line {
    let left = format!(" crossfade demo  {}  admin {}", view.listen, view.admin);
    let keys = "r restart  q quit";
    let widest = (left.as_str(), format!("{keys}  {} ", clock(view.uptime)));
    for (left, right) in [
        widest,
        (&left, format!("{keys} ")),
        ("", format!(" {keys} ")),
    ] {
        let taken = width(left) + width(&right);
        if taken < columns {
            let gap = columns - taken;
            return Line::default().with(Tone::Bar, format!("{left}{:gap$}{right}", ""));
        }
    }
    Line::default().with(Tone::Bar, " q quit")
}

/// A column of the routes' table.
struct Column {
    group: &'static str,
    title: &'static str,
    width: usize,
    /// The column with the highest number goes first where columns are few.
    rank: u8,
    cell: fn(&RouteRow) -> (Tone, String),
}

const fn column(
    group: &'static str,
    title: &'static str,
    width: usize,
    rank: u8,
    cell: fn(&RouteRow) -> (Tone, String),
) -> Column {
    Column {
        group,
        title,
        width,
        rank,
        cell,
    }
}

const COLUMNS: [Column; 9] = [
    column("", "share", 8, 0, |row| (Tone::Strong, percent(row.share))),
    column("served/s", "old", 7, 2, |row| {
        (Tone::Plain, rate(row.served[0]))
    }),
    column("served/s", "new", 6, 2, |row| {
        (Tone::Plain, rate(row.served[1]))
    }),
    column("old ms", "p50", 7, 4, |row| {
        (Tone::Plain, millis(row.latency[0].map(|l| l.0)))
    }),
    column("old ms", "p99", 6, 5, |row| {
        (Tone::Plain, millis(row.latency[0].map(|l| l.1)))
    }),
    column("new ms", "p50", 7, 4, |row| {
        (Tone::Plain, millis(row.latency[1].map(|l| l.0)))
    }),
    column("new ms", "p99", 6, 5, |row| {
        (Tone::Plain, millis(row.latency[1].map(|l| l.1)))
    }),
    column("pairs", "diff", 8, 1, diff_cell),
    column("pairs", "of", 10, 3, |row| {
        (Tone::Plain, thousands(row.trials))
    }),
];

fn diff_cell(row: &RouteRow) -> (Tone, String) {
    match row.diff_rate {
        None => (Tone::Faint, "-".to_owned()),
        Some(rate) if rate > 0.0 => (Tone::Warn, percent(rate)),
        Some(rate) => (Tone::Good, percent(rate)),
    }
}

fn routes(view: &View, columns: usize) -> Vec<(Keep, Line)> {
    const NAME: usize = 14;
    let longest = view
        .routes
        .iter()
        .map(|row| width(&row.name))
        .max()
        .unwrap_or(0);
    let mut last_rank = 5;
    let fixed = |rank: u8| {
        COLUMNS
            .iter()
            .filter(|column| column.rank <= rank)
            .map(|column| column.width)
            .sum::<usize>()
    };
    while last_rank > 0 && NAME + 1 + fixed(last_rank) > columns {
        last_rank -= 1;
    }
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| column.rank <= last_rank)
        .collect();
    let name = longest.clamp(
        NAME,
        NAME.max(columns.saturating_sub(fixed(last_rank) + 1).min(40)),
    );

    let (mut groups, mut titles) = (" ".repeat(name + 1), format!(" {:name$}", "route"));
    for group in shown.chunk_by(|a, b| a.group == b.group) {
        let room: usize = group.iter().map(|column| column.width).sum();
        let _ = write!(groups, "{:>room$}", group[0].group);
    }
    for column in &shown {
        let _ = write!(titles, "{:>1$}", column.title, column.width);
    }
    let mut lines = Vec::new();
    if !groups.trim().is_empty() {
        lines.push((Keep::Routes, Line::default().with(Tone::Faint, groups)));
    }
    lines.push((Keep::Always, Line::default().with(Tone::Faint, titles)));
    for (place, row) in view.routes.iter().enumerate() {
        let keep = if place < ROUTES_KEPT {
            Keep::Routes
        } else {
            Keep::More
        };
        let mut line = Line::default().with(Tone::Strong, format!(" {}", pad(&row.name, name)));
        for column in &shown {
            let (tone, cell) = (column.cell)(row);
            line = line.with(tone, format!("{cell:>0$}", column.width));
        }
        lines.push((keep, line));
    }
    lines
}

fn differences(view: &View, columns: usize) -> Vec<(Keep, Line)> {
    let room = columns.saturating_sub(38).clamp(12, 60);
    let title = format!(
        " {} {} {} {:>11}",
        pad("differences", 14),
        pad("field", room),
        pad("kind", 9),
        "pairs"
    );
    let mut lines = vec![(Keep::Differences, Line::default().with(Tone::Faint, title))];
    if view.fields.is_empty() {
        lines.push((
            Keep::Differences,
            Line::default().with(Tone::Plain, " none seen yet"),
        ));
    }
    for (place, row) in view.fields.iter().take(DIFFERENCES_SHOWN).enumerate() {
        let keep = if place < DIFFERENCES_KEPT {
            Keep::Differences
        } else {
            Keep::More
        };
        let line = Line::default()
            .with(Tone::Plain, format!(" {} ", pad(&row.route, 14)))
            .with(Tone::Warn, format!("{} ", pad(&row.field, room)))
            .with(
                Tone::Plain,
                format!("{} {:>11}", pad(&row.kind, 9), thousands(row.count)),
            );
        lines.push((keep, line));
    }
    lines
}

fn child_line(child: &ChildRow) -> Line {
    let line = Line::default().with(Tone::Strong, format!(" {:5}", child.name));
    let line = line.with(Tone::Faint, format!("pid {:<8}", child.pid));
    match &child.state {
        ChildState::Starting => line.with(Tone::Warn, "starting"),
        ChildState::Running => line
            .with(Tone::Good, "running  ")
            .with(Tone::Plain, clean(&child.said)),
        ChildState::Down(how) => {
            let line = line.with(
                Tone::Bad,
                format!("down ({}): press r to restart it  ", clean(how)),
            );
            line.with(Tone::Plain, clean(&child.said))
        }
    }
}

fn settings(view: &View) -> Vec<(Keep, Line)> {
    let line = Line::default()
        .with(Tone::Faint, " edit ")
        .with(Tone::Strong, clean(&view.file));
    let mut lines = vec![match &view.rejected {
        None => (
            Keep::State,
            line.with(
                Tone::Good,
                format!("   generation {} is in force", view.generation),
            ),
        ),
        Some(_) => (
            Keep::State,
            line.with(
                Tone::Bad,
                format!(
                    "   not valid: generation {} stays in force",
                    view.generation
                ),
            ),
        ),
    }];
    for text in view.rejected.iter().chain(&view.notice) {
        lines.push((
            Keep::State,
            Line::default().with(Tone::Bad, format!("      {}", clean(text))),
        ));
    }
    lines
}

fn hints(view: &View) -> Vec<(Keep, Line)> {
    let commands = [
        format!("curl -i http://{}/contents/0ad/tags", view.listen),
        format!("{} explain GET /contents/0ad/tags", view.program),
        format!("{} mismatches --limit 3", view.program),
    ];
    let labels = [" try  ", "      ", "      "];
    let line = |(label, command): (&str, String)| {
        Line::default()
            .with(Tone::Faint, label)
            .with(Tone::Plain, clean(&command))
    };
    labels
        .into_iter()
        .zip(commands)
        .map(|pair| (Keep::Hints, line(pair)))
        .collect()
}

/// The view as one line, for where there is no terminal.
#[must_use]
pub fn log_line(view: &View) -> String {
    let mut text = format!("{} generation {}", clock(view.uptime), view.generation);
    for row in &view.routes {
        let diff = row.diff_rate.map_or_else(|| "-".to_owned(), percent);
        let _ = write!(
            text,
            " | {} share {} served/s old {} new {} p50/p99 ms old {}/{} new {}/{} diff {diff} of {}",
            row.name,
            percent(row.share),
            rate(row.served[0]),
            rate(row.served[1]),
            millis(row.latency[0].map(|l| l.0)),
            millis(row.latency[0].map(|l| l.1)),
            millis(row.latency[1].map(|l| l.0)),
            millis(row.latency[1].map(|l| l.1)),
            row.trials,
        );
    }
    for row in view.fields.iter().take(DIFFERENCES_KEPT) {
        let _ = write!(
            text,
            " | {} {} {} {}",
            row.route, row.field, row.kind, row.count
        );
    }
    for child in &view.children {
        let _ = match &child.state {
            ChildState::Starting => write!(text, " | {} pid {} starting", child.name, child.pid),
            ChildState::Running => write!(text, " | {} pid {}", child.name, child.pid),
            ChildState::Down(how) => {
                write!(text, " | {} pid {} is down ({how})", child.name, child.pid)
            }
        };
    }
    for trouble in view.rejected.iter().chain(&view.notice) {
        let _ = write!(text, " | {trouble}");
    }
    clean(&text)
}

#[cfg(test)]
mod tests;
