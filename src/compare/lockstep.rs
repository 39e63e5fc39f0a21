//! Are two answers equal under the rules? One is a document; the other is read beside it and never becomes one.
//!
//! Invariant: [`Finding::Equal`] is said only of texts that two documents and [`Judge`](crate::compare::equal::Judge) would be found equal of, and
//! [`Finding::Different`] only of those that never match; no hash is asked, so nothing can be made to collide. Whatever is not certain in one pass
//! (values that are compared by shape, names given twice, a tolerance among elements without order, elements that an identity would bring into another
//! order) is left open.
//!
//! While everything so far is equal, both sides are at the same place of equal shape, so one set of path positions tells the rules of both.

use crate::compare::rules::Program;
use crate::compare::view::Mark;
use crate::json::cursor::{Cursor, Room, Stop};
use crate::json::document::{Span, Tag};
use crate::json::path::{Progress, Step};
use crate::json::string::Strings;
use crate::json::{Decimal, Document, Limits, Memory, Node, ReadError};

mod arrays;
mod objects;

/// What is known of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// They are equal, and the second is a document within its bounds.
    Equal,
    /// They do not match, for whatever reason.
    Different,
    /// Nothing.
    Open,
}

/// Reads a text beside a document.
pub(crate) fn compare(
    old: &Document<'_>,
    new: &[u8],
    program: &Program<'_>,
    limits: Limits,
    memory: &mut dyn Memory,
) -> Finding {
    // A shape is that of a whole value, and what is known of values is asked of all at once. Both are rare among the rules: they are left to the views.
    if new.len() > limits.bytes || program.has_own_ways {
        return Finding::Open;
    }
    let Ok(text) = std::str::from_utf8(new) else {
        return Finding::Different;
    };
    let mut lockstep = Lockstep {
        program,
        old,
        new: Cursor::new(text),
        strings: Strings::new(text),
        rows: Vec::new(),
        entries: Vec::new(),
        limits,
        nodes: limits.nodes,
        work: TRIES * old.len() + new.len() / BYTES_OF_WORK,
        memory,
    };
    match lockstep.whole() {
        Ok(()) => Finding::Equal,
        Err(Halt::Different) => Finding::Different,
        Err(Halt::Open) => Finding::Open,
    }
}

/// Values of elements without order that may be looked at in vain, for each value of the document.
const TRIES: usize = 16;
/// Bytes of a text that cost as much as one value.
const BYTES_OF_WORK: usize = 64;

struct Lockstep<'c, 'm> {
    program: &'c Program<'c>,
    old: &'c Document<'c>,
    new: Cursor<'c>,
    /// Unescapes texts of new, one at a time.
    strings: Strings<'c>,
    /// Progress of every path, a row for each level at which some path goes on.
    rows: Vec<Progress>,
    /// Members and elements of old that are looked for, of every level at which that is under way.
    entries: Vec<Entry>,
    limits: Limits,
    /// Values that new may still have.
    nodes: usize,
    /// What may still be spent on elements without order.
    work: usize,
    memory: &'m mut dyn Memory,
}

/// A member or element of old that new may have anywhere.
#[derive(Clone, Copy)]
struct Entry {
    /// The beginning of the name with its closing quote, and how much of a word that is.
    head: u64,
    mask: u64,
    node: Node,
    found: bool,
}

/// Why the walk ends before its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Halt {
    Different,
    Open,
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Broken => Self::Different,
            Stop::Bounds => Self::Open,
        }
    }
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Here {
    /// What the rules say of this value.
    mark: Mark,
    /// Whether they say something of what is below it; then its row is the last.
    ruled: bool,
    /// Arrays and objects around it.
    depth: u32,
    /// In an array whose elements have identities: what is hidden of them may be one.
    identities: bool,
    /// The value may be an identity.
    identity: bool,
    /// Numbers with a tolerance can't be judged one by one here.
    exact: bool,
}

impl Here {
    /// One step down, where no path says anything.
    fn below(self) -> Self {
        Self {
            mark: Mark::default(),
            ruled: false,
            depth: self.depth + 1,
            identity: false,
            ..self
        }
    }
}

impl<'c> Lockstep<'c, '_> {
    fn whole(&mut self) -> Result<(), Halt> {
        let mut root = Here {
            mark: Mark::default(),
            ruled: false,
            depth: 0,
            identities: false,
            identity: false,
            exact: false,
        };
        let program = self.program;
        for (index, (path, _)) in program.paths.iter().enumerate() {
            self.arrive(&mut root, index, path.start());
        }
        self.new.blank();
        if root.mark.ignored {
            self.skip(root)?;
        } else {
            self.value(Node::ROOT, root)?;
        }
        self.new.blank();
        ensure(self.new.at == self.new.text.len())
    }

    /// Compares the value that stands here with one of old.
    fn value(&mut self, node: Node, here: Here) -> Result<(), Halt> {
        self.nodes = self.nodes.checked_sub(1).ok_or(Halt::Open)?;
        let slot = &self.old.slots[node.index()];
        match slot.tag {
            Tag::Null => self.expect(b"null"),
            Tag::False => self.expect(b"false"),
            Tag::True => self.expect(b"true"),
            Tag::Number => self.number(slot.text, here),
            Tag::String => self.string(slot.text),
            Tag::Array | Tag::Object if self.is_written_here(node, here) => Ok(()),
            Tag::Array => self.array(node, here),
            Tag::Object => self.object(node, here),
        }
    }

    /// Passes an array or object that is written as in old: then it is the same, whatever the rules say.
    fn is_written_here(&mut self, node: Node, here: Here) -> bool {
        let within = self.old.slots[node.index()].end as usize - node.index() - 1;
        let same = (!here.exact || self.program.tolerances.is_empty())
            && within <= self.nodes
            && self
                .old
                .written(node)
                .is_some_and(|text| self.new.eat_all(text));
        if same {
            self.nodes -= within;
        }
        same
    }

    fn expect(&mut self, token: &[u8]) -> Result<(), Halt> {
        ensure(self.new.eat_all(token))
    }

    fn string(&mut self, text: Span) -> Result<(), Halt> {
        // With its quotes, so that neither begins or ends in the other.
        let quoted = text.len as usize + 2;
        self.work = self.work.saturating_sub(quoted / BYTES_OF_WORK);
        if let Some((input, at)) = self.old.place(text)
            && self.new.eat_alike(input, at - 1, quoted)
        {
            return Ok(());
        }
        self.escaped(text)
    }

    /// Compares a string with one that is written differently, or differs.
    #[cold]
    fn escaped(&mut self, text: Span) -> Result<(), Halt> {
        let found = self.text()?;
        let same = self.strings.bytes(found) == self.old.bytes(text);
        self.strings.forget();
        ensure(same)
    }

    /// Passes a string.
    fn text(&mut self) -> Result<Span, Halt> {
        if self.new.peek() != Some(b'"') {
            return Err(Halt::Different);
        }
        let (text, end) = self.strings.read(self.new.at, self.memory).map_err(halt)?;
        self.new.at = end;
        Ok(text)
    }

    fn number(&mut self, text: Span, here: Here) -> Result<(), Halt> {
        let start = self.new.at;
        if (here.mark.tolerance().is_none() || !(here.exact || here.identity))
            && let Some((input, at)) = self.old.place(text)
            && self.new.eat_alike(input, at, text.len as usize)
        {
            if !matches!(
                self.new.peek(),
                Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
            ) {
                return Ok(());
            }
            self.new.at = start;
        }
        self.rewritten(text, here)
    }

    /// Compares a number with one that is written differently, or differs.
    #[cold]
    fn rewritten(&mut self, text: Span, here: Here) -> Result<(), Halt> {
        let tolerance = here.mark.tolerance();
        if tolerance.is_some() && (here.exact || here.identity) {
            return Err(Halt::Open);
        }
        let text = self.old.text(text);
        let other = self.new.number()?;
        let len = text.len() + other.len();
        self.work = self.work.saturating_sub(len / BYTES_OF_WORK);
        let (Some(a), Some(b)) = (Decimal::parse(text), Decimal::parse(other)) else {
            return Err(Halt::Different);
        };
        let near = || {
            let tolerance = Decimal::parse(&self.program.tolerances[tolerance?])?;
            Some(a.within(&b, &tolerance))
        };
        ensure(a == b || near() == Some(true))
    }

    /// Passes a value that does not count.
    #[inline(never)]
    fn skip(&mut self, here: Here) -> Result<(), Halt> {
        let mut room = Room {
            depth: self.limits.depth.saturating_sub(here.depth as usize),
            nodes: self.nodes,
        };
        self.new.skip(&mut room)?;
        self.nodes = room.nodes;
        Ok(())
    }

    /// What holds one step down. If anything holds here, a row is left for who called to take away.
    #[inline(never)]
    fn below(&mut self, here: Here, step: Step<'_>) -> Here {
        let mut below = here.below();
        if here.ruled {
            let program = self.program;
            let row = self.rows.len() - program.paths.len();
            for (index, (path, _)) in program.paths.iter().enumerate() {
                let progress = path.advance(self.rows[row + index], step);
                self.arrive(&mut below, index, progress);
            }
        }
        below
    }

    /// Notes how far a path has come.
    fn arrive(&mut self, here: &mut Here, path: usize, progress: Progress) {
        let (path, effect) = self.program.paths[path];
        if path.selects(progress) {
            here.mark.apply(effect);
        }
        here.ruled |= path.continues(progress);
        self.rows.push(progress);
    }

    /// Takes memory for more entries.
    #[inline(never)]
    fn reserve(&mut self, more: usize) -> Result<(), Halt> {
        let wanted = self.entries.len() + more;
        if wanted > self.entries.capacity() {
            let capacity = wanted.next_power_of_two().max(32);
            if !self.memory.charge(capacity * size_of::<Entry>()) {
                return Err(Halt::Open);
            }
            self.entries.reserve_exact(capacity - self.entries.len());
        }
        Ok(())
    }
}

fn ensure(equal: bool) -> Result<(), Halt> {
    if equal { Ok(()) } else { Err(Halt::Different) }
}

fn halt(error: ReadError) -> Halt {
    match error {
        ReadError::NotJson { .. } => Halt::Different,
        ReadError::TooLarge | ReadError::TooDeep | ReadError::TooManyNodes | ReadError::Refused => {
            Halt::Open
        }
    }
}

#[cfg(test)]
mod tests;
