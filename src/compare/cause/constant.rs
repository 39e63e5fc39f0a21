//! Values that new has again and again where old has many: "N/A" in place of names is another defect than names that are wrong.

use crate::compare::change::Form;
use crate::compare::shape::Seen;

/// Values that are watched of one mark.
const WATCHED: usize = 8;
/// Times a value is seen, and values of old in whose place it is seen, before it may be a constant.
const SEEN: usize = 8;
/// Constants of one field and kind.
pub(super) const MOST: usize = 3;

/// Whether a change of this form may be one to a constant: one between values of one type of which nothing better can be said.
pub(super) fn may_be(form: Form) -> bool {
    match form {
        Form::Values { from, to, traits } => from == to && traits.is_empty(),
        Form::Renamed
        | Form::Reordered
        | Form::Length
        | Form::Duplicate
        | Form::Identity
        | Form::Status(..) => false,
    }
}

/// The values that are watched of a mark.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    value: u64,
    seen: u64,
    /// Values of old, up to as many as are needed.
    instead_of: Vec<u64>,
}

impl Candidates {
    /// How often the most frequent value was seen.
    pub(super) fn most(&self) -> u64 {
        self.0
            .iter()
            .map(|candidate| candidate.seen)
            .max()
            .unwrap_or(0)
    }

    /// Counts a value; how often it was seen, once it is known for a constant. It is not watched any longer then.
    pub(super) fn add(&mut self, [old, new]: [Seen; 2]) -> Option<u64> {
        let place = match self
            .0
            .iter()
            .position(|candidate| candidate.value == new.value)
        {
            Some(place) => place,
            None => {
                if self.0.len() == WATCHED {
                    // The rarest goes, the oldest of those.
                    let rarest = (0..WATCHED).min_by_key(|&place| self.0[place].seen)?;
                    self.0.remove(rarest);
                }
                self.0.push(Candidate {
                    value: new.value,
                    seen: 0,
                    instead_of: Vec::new(),
                });
                self.0.len() - 1
            }
        };
        let candidate = &mut self.0[place];
        candidate.seen += 1;
        if candidate.instead_of.len() < SEEN && !candidate.instead_of.contains(&old.value) {
            candidate.instead_of.push(old.value);
        }
        let is_constant = candidate.instead_of.len() == SEEN;
        is_constant.then(|| self.0.remove(place).seen)
    }
}
