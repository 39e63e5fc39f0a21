//! Objects: members in the order of old, and from the first that stands elsewhere in any order.
//!
//! Invariant: each name of old is given away once, and a name that comes again leaves the matter open, so that as many names found as there are mean
//! the same names.

use super::{Entry, Halt, Here, Lockstep, ensure};
use crate::json::path::Step;
use crate::json::word::{first, head, word};
use crate::json::{Document, Node, Value};
use std::borrow::Cow;

/// Names that are searched one after the other; more are sorted.
const FEW: usize = 24;

/// Members of an object of old that new has not had yet.
struct Left {
    /// The next one in the order of old, as long as new keeps to it.
    next: u32,
    end: u32,
    /// From there on, in whatever order they come: entries.
    listed: Option<usize>,
}

impl<'c> Lockstep<'c, '_> {
    pub(super) fn object(&mut self, node: Node, here: Here) -> Result<(), Halt> {
        let slot = self.old.slots[node.index()];
        if slot.repeats {
            return Err(Halt::Open);
        }
        let mut left = Left {
            next: node.0 + 1,
            end: slot.end,
            listed: None,
        };
        self.expect(b"{")?;
        self.new.blank();
        if !self.new.eat(b'}') {
            loop {
                self.member(node, here, &mut left)?;
                self.new.blank();
                if self.new.eat(b'}') {
                    break;
                }
                self.expect(b",")?;
                self.new.blank();
            }
        }
        self.rest(here, &left)
    }

    /// Compares the member that stands here.
    fn member(&mut self, object: Node, here: Here, left: &mut Left) -> Result<(), Halt> {
        if left.listed.is_none() && left.next < left.end {
            let child = Node(left.next);
            let slot = &self.old.slots[child.index()];
            if let Some((input, at)) = self.old.place(slot.key)
                && self.new.eat_alike(input, at - 1, slot.key.len as usize + 2)
            {
                left.next = slot.end;
                self.colon()?;
                return self.pair(child, here);
            }
        }
        let start = match left.listed {
            Some(start) => start,
            None => self.list(left)?,
        };
        match self.short_name(start) {
            Some(child) => {
                self.colon()?;
                self.pair(child, here)
            }
            None => self.long_name(object, start, here),
        }
    }

    /// Finds the name that stands here among a few, if it is as plain there as here.
    fn short_name(&mut self, start: usize) -> Option<Node> {
        let head = word(self.new.bytes(), self.new.at + 1)?;
        let entries = &mut self.entries[start..];
        if entries.len() > FEW || self.new.peek() != Some(b'"') {
            return None;
        }
        for entry in entries {
            if head & entry.mask == entry.head {
                let key = self.old.slots[entry.node.index()].key;
                let (input, from) = self.old.place(key)?;
                if self.new.eat_alike(input, from - 1, key.len as usize + 2) {
                    entry.take();
                    return Some(entry.node);
                }
            }
        }
        None
    }

    /// Compares the member that stands here, whose name is written differently, or one of many, or not there at all.
    #[inline(never)]
    fn long_name(&mut self, object: Node, start: usize, here: Here) -> Result<(), Halt> {
        let name = self.name()?;
        self.colon()?;
        match find(&mut self.entries[start..], self.old, &name) {
            Some(child) => self.pair(child, here),
            None => self.extra(object, &name, here),
        }
    }

    fn colon(&mut self) -> Result<(), Halt> {
        self.new.blank();
        self.expect(b":")?;
        self.new.blank();
        Ok(())
    }

    fn name(&mut self) -> Result<Cow<'c, str>, Halt> {
        let start = self.new.at + 1;
        let name = self.text()?;
        let plain = name.start as usize == start;
        let text = self.new.text;
        Ok(if plain {
            Cow::Borrowed(&text[start..start + name.len as usize])
        } else {
            let name = self.strings.text(name).to_owned();
            self.strings.forget();
            Cow::Owned(name)
        })
    }

    /// Lists what is left, sorted if that is much.
    fn list(&mut self, left: &mut Left) -> Result<usize, Halt> {
        let start = self.entries.len();
        let slots = &self.old.slots;
        let mut next = left.next;
        while next < left.end {
            let slot = &slots[next as usize];
            if self.entries.len() == self.entries.capacity() {
                self.reserve(1)?;
            }
            self.entries.push(Entry::new(self.old, Node(next)));
            next = slot.end;
        }
        let listed = self.entries.len() - start;
        self.work = self.work.saturating_sub(listed);
        if listed > FEW {
            sort(&mut self.entries[start..], self.old);
        }
        left.listed = Some(start);
        Ok(start)
    }

    /// Compares the value that stands here with that of the same name.
    fn pair(&mut self, child: Node, here: Here) -> Result<(), Halt> {
        if !here.ruled && !here.identities && !self.program.null_is_absent {
            return self.value(child, here.below());
        }
        self.ruled_pair(child, here)
    }

    /// The same where the rules may say something.
    #[inline(never)]
    fn ruled_pair(&mut self, child: Node, here: Here) -> Result<(), Halt> {
        let rows = self.rows.len();
        let old = self.old;
        let mut member = self.below(here, Step::Name(old.key(child)));
        let found = if member.mark.ignored {
            self.hide(here, old.key(child))?;
            self.skip(member)
        } else if self.program.null_is_absent && self.new.peek() == Some(b'n') {
            if old.value(child) == Value::Null {
                self.hide(here, old.key(child))?;
                self.value(child, member)
            } else {
                // The name may come again, with a value.
                Err(Halt::Open)
            }
        } else {
            member.identity = here.identities && self.is_identity(old.key(child));
            self.value(child, member)
        };
        self.rows.truncate(rows);
        found
    }

    /// Passes a member that is not left in old: it must not count.
    fn extra(&mut self, object: Node, name: &str, here: Here) -> Result<(), Halt> {
        let rows = self.rows.len();
        let member = self.below(here, Step::Name(name));
        self.rows.truncate(rows);
        let null = self.program.null_is_absent && self.new.peek() == Some(b'n');
        if member.mark.ignored || null {
            self.hide(here, name)?;
            return self.skip(member);
        }
        let old = self.old;
        let again = old.children(object).any(|child| old.key(child) == name);
        Err(if again { Halt::Open } else { Halt::Different })
    }

    /// Sees to it that what is left in old does not count.
    fn rest(&mut self, here: Here, left: &Left) -> Result<(), Halt> {
        let Some(start) = left.listed else {
            let mut next = left.next;
            while next < left.end {
                self.absent(Node(next), here)?;
                next = self.old.slots[next as usize].end;
            }
            return Ok(());
        };
        for place in start..self.entries.len() {
            let entry = self.entries[place];
            if !entry.found {
                self.absent(entry.node, here)?;
            }
        }
        self.entries.truncate(start);
        Ok(())
    }

    fn absent(&mut self, child: Node, here: Here) -> Result<(), Halt> {
        let rows = self.rows.len();
        let old = self.old;
        self.work = self.work.saturating_sub(1);
        let member = self.below(here, Step::Name(old.key(child)));
        self.rows.truncate(rows);
        let null = self.program.null_is_absent && old.value(child) == Value::Null;
        ensure(member.mark.ignored || null)?;
        self.hide(here, old.key(child))
    }

    /// A member that does not count: if it may be an identity, that still counts.
    fn hide(&self, here: Here, name: &str) -> Result<(), Halt> {
        if here.identities && self.is_identity(name) {
            Err(Halt::Open)
        } else {
            Ok(())
        }
    }

    fn is_identity(&self, name: &str) -> bool {
        let mut fields = self.program.identities.iter().flatten();
        fields.any(|field| field.names().iter().any(|part| part == name))
    }
}

impl Entry {
    /// No word that text begins with: 0xFF is no byte of UTF-8.
    const NONE: u64 = u64::MAX;

    fn new(old: &Document<'_>, node: Node) -> Self {
        let key = old.slots[node.index()].key;
        let len = key.len as usize + 1;
        let (head, mask) = old.place(key).map_or((Self::NONE, 0), |(input, at)| {
            (head(input, at, len), first(len))
        });
        Self {
            head,
            mask,
            node,
            found: false,
        }
    }

    fn take(&mut self) {
        (self.head, self.mask, self.found) = (Self::NONE, 0, true);
    }
}

#[inline(never)]
fn sort(entries: &mut [Entry], old: &Document<'_>) {
    entries.sort_unstable_by_key(|entry| old.key(entry.node));
}

/// Takes the member of a name out of what is left.
fn find(entries: &mut [Entry], old: &Document<'_>, name: &str) -> Option<Node> {
    let place = if entries.len() > FEW {
        entries
            .binary_search_by_key(&name, |entry| old.key(entry.node))
            .ok()
            .filter(|&place| !entries[place].found)
    } else {
        entries
            .iter()
            .position(|entry| !entry.found && old.key(entry.node) == name)
    }?;
    entries[place].take();
    Some(entries[place].node)
}
