//! Recorded pairs on their way through the judgement, route by route.

use crate::cli::judge::answered::Answered;
use crate::cli::judge::lines::{Lines, Recorded};
use crate::cli::output::{self, Status};
use crate::compare::Ids;
use crate::compare::docket::{Circumstances, Recorded as Pair, RoutePairs, Settled};
use crate::compare::noise;
use crate::compare::recheck::{Judgement, Look};
use crate::config::Settings;
use crate::config::settings::Again;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::sync::Arc;

/// Routes of one file; a line of one more is a bad one.
const ROUTES: usize = 1_000;
/// Bad lines that are told; others are counted.
const TOLD: u64 = 20;

/// What was read so far.
pub(super) struct Session<'s> {
    settings: Option<&'s Settings>,
    /// Learnt from these pairs alone.
    ids: Arc<Ids>,
    pub(super) dockets: BTreeMap<String, Docket>,
    pub(super) verdicts: Verdicts,
    bad: u64,
    unread: BTreeSet<String>,
}

/// The pairs of a route.
pub(super) struct Docket {
    pub(super) pairs: RoutePairs,
    again: Again,
}

/// How many pairs there are of each verdict.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Verdicts {
    #[serde(rename = "match")]
    matching: u64,
    noise: u64,
    mismatch: u64,
    transient: u64,
    lag: u64,
    incomparable: u64,
}

impl Verdicts {
    fn count(&mut self, settled: Settled) {
        *match settled {
            Settled::Match => &mut self.matching,
            Settled::Differed(Judgement::Noise) => &mut self.noise,
            Settled::Differed(Judgement::Mismatch { .. }) => &mut self.mismatch,
            Settled::Differed(Judgement::Transient) => &mut self.transient,
            Settled::Differed(Judgement::Lag) => &mut self.lag,
            Settled::Incomparable(_) => &mut self.incomparable,
        } += 1;
    }

    pub(super) fn all(self) -> [(&'static str, u64); 6] {
        [
            ("match", self.matching),
            ("noise", self.noise),
            ("mismatch", self.mismatch),
            ("transient", self.transient),
            ("lag", self.lag),
            ("incomparable", self.incomparable),
        ]
    }
}

impl<'s> Session<'s> {
    pub(super) fn new(settings: Option<&'s Settings>) -> Self {
        let ids = Ids::unkeyed();
        ids.bound(settings.into_iter().flat_map(Settings::id_bounds));
        Self {
            settings,
            ids: Arc::new(ids),
            dockets: BTreeMap::new(),
            verdicts: Verdicts::default(),
            bad: 0,
            unread: BTreeSet::new(),
        }
    }

    pub(super) fn read(&mut self, from: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(from);
        while let Some(line) = lines.next(|recorded| self.judge(recorded))? {
            match line {
                Ok(true) => {}
                Ok(false) => {
                    let number = lines.number();
                    self.complain(format!(
                        "line {number}: there are more than {ROUTES} routes"
                    ));
                }
                Err(bad) => self.complain(bad.to_string()),
            }
        }
        Ok(())
    }

    /// Judges a pair. `false` if it is of one route too many.
    fn judge(&mut self, recorded: Recorded<'_>) -> bool {
        if let Some(name) = recorded.unread {
            self.note(name);
        }
        let full = self.dockets.len() >= ROUTES;
        let docket = match self.dockets.get_mut(&*recorded.route) {
            Some(docket) => docket,
            None if full => return false,
            None => {
                let name = recorded.route.into_owned();
                let pairs = self.begin(&name);
                self.dockets.entry(name).or_insert(pairs)
            }
        };
        let settled = docket.pairs.judge(&Pair {
            at: recorded.at.unwrap_or(0),
            key: recorded.key.as_deref(),
            first: Look {
                old: recorded.old.answer(),
                new: recorded.new.answer(),
            },
            own: recorded.own.as_ref().map(Answered::answer),
            again: recorded.again.as_ref().map(|[old, new]| Look {
                old: old.answer(),
                new: new.answer(),
            }),
            circumstances: Circumstances {
                written: recorded.written,
                settle: docket.again.settle,
                lag: docket.again.lag,
                noise: None,
            },
        });
        self.verdicts.count(settled);
        true
    }

    /// The pairs of a route as the file has it, or without rules.
    fn begin(&self, name: &str) -> Docket {
        let routes = self.settings.iter().flat_map(|settings| &settings.routes);
        let route = routes.into_iter().find(|known| known.name == name);
        let rules = route.map(|route| route.compare.clone());
        let mut noise = noise::Settings::default();
        if let Some(settings) = self.settings {
            noise.floor = settings.noise.floor;
        }
        Docket {
            pairs: RoutePairs::new(
                name,
                rules.unwrap_or_default(),
                noise,
                Arc::clone(&self.ids),
            ),
            again: route.map(|route| route.again.clone()).unwrap_or_default(),
        }
    }

    fn note(&mut self, name: String) {
        /// More than these are no slips of the pen.
        const NOTED: usize = 100;
        if self.unread.len() < NOTED && !self.unread.contains(&name) {
            output::note(format!("nobody reads {name:?} of a line"));
            self.unread.insert(name);
        }
    }

    fn complain(&mut self, what: String) {
        self.bad += 1;
        if self.bad <= TOLD {
            output::complain(what);
        }
    }

    pub(super) fn conclude(&self) -> Status {
        if self.bad > TOLD {
            output::complain(format!("{} bad lines more", self.bad - TOLD));
        }
        if self.bad == 0 {
            return Status::Done;
        }
        output::note("what is told is about the other lines");
        Status::Unusable
    }
}
