//! Arrays: elements by their places, or in any order.

use super::{BYTES_OF_WORK, Entry, Halt, Here, Lockstep, ensure};
use crate::compare::parts::identity_nodes;
use crate::json::path::Step;
use crate::json::{Node, Value};

impl Lockstep<'_, '_> {
    pub(super) fn array(&mut self, node: Node, here: Here) -> Result<(), Halt> {
        let rows = self.rows.len();
        let found = self.elements(node, here);
        self.rows.truncate(rows);
        found
    }

    fn elements(&mut self, node: Node, here: Here) -> Result<(), Halt> {
        ensure(self.new.peek() == Some(b'['))?;
        let by_place = here.ruled && self.program.has_indexes;
        // Where places do not matter all elements are as the first one.
        let mut element = self.below(here, Step::Index { at: 0, len: 1 });
        if let Some(identity) = here.mark.match_by() {
            element.identities = true;
            // The order of identities may save what differs in this one.
            return match self.in_order(node, here, element, Some(identity)) {
                Err(Halt::Different) => Err(Halt::Open),
                found => found,
            };
        }
        if element.mark.ignored && !by_place {
            self.nodes += 1;
            return self.skip(here);
        }
        if !here.mark.unordered {
            return self.in_order(node, here, element, None);
        }
        if by_place {
            return Err(Halt::Open);
        }
        element.exact = true;
        let start = self.entries.len();
        let found = self.any_order(node, element);
        self.entries.truncate(start);
        found
    }

    /// Elements of an array that belong together by their places.
    fn in_order(
        &mut self,
        node: Node,
        here: Here,
        mut element: Here,
        identity: Option<usize>,
    ) -> Result<(), Halt> {
        self.new.at += 1;
        self.new.blank();
        let (old, program) = (self.old, self.program);
        let by_place = here.ruled && program.has_indexes;
        // Where the rules may hide some elements and not others, arrays of different lengths may be equal.
        let other_length = if by_place {
            Halt::Open
        } else {
            Halt::Different
        };
        let len = if by_place { old.count(node) } else { 0 };
        for (at, child) in old.children(node).enumerate() {
            if at > 0 {
                self.next_element(other_length)?;
            } else if self.new.peek() == Some(b']') {
                return Err(other_length);
            }
            if by_place {
                self.rows.truncate(self.rows.len() - program.paths.len());
                element = Here {
                    identities: element.identities,
                    ..self.below(here, Step::Index { at, len })
                };
            }
            if element.mark.ignored {
                self.skip(element)?;
                continue;
            }
            let plain = identity.is_some_and(|identity| {
                program.tolerances.is_empty() || {
                    identity_nodes(old, child, &program.identities[identity]).all(|node| {
                        let found = node.map(|node| old.value(node));
                        matches!(found, Some(Value::String(_) | Value::Number(_)))
                    })
                }
            });
            let element = Here {
                exact: element.exact || (identity.is_some() && !plain),
                ..element
            };
            self.value(child, element)?;
        }
        self.new.blank();
        if self.new.eat(b']') {
            Ok(())
        } else {
            Err(other_length)
        }
    }

    fn next_element(&mut self, none: Halt) -> Result<(), Halt> {
        self.new.blank();
        if !self.new.eat(b',') {
            return Err(none);
        }
        self.new.blank();
        Ok(())
    }

    /// Elements of an array without order: each takes the first one of old that is equal and free. Without tolerances it does not matter which.
    fn any_order(&mut self, node: Node, element: Here) -> Result<(), Halt> {
        let mut start = self.entries.len();
        let old = self.old;
        let count = old.count(node);
        self.work = self.work.saturating_sub(count);
        self.reserve(count)?;
        self.entries.extend(old.children(node).map(|node| Entry {
            head: 0,
            mask: 0,
            node,
            found: false,
        }));
        let end = self.entries.len();
        self.new.at += 1;
        self.new.blank();
        let mut first = true;
        while !self.new.eat(b']') {
            if !first {
                self.next_element(Halt::Different)?;
            }
            first = false;
            while start < end && self.entries[start].found {
                start += 1;
            }
            let place = self.partner(start..end, element)?;
            self.entries[place].found = true;
            self.new.blank();
        }
        ensure(self.entries[start..end].iter().all(|entry| entry.found))
    }

    /// Finds an element that is equal to the one that stands here.
    fn partner(&mut self, places: std::ops::Range<usize>, element: Here) -> Result<usize, Halt> {
        let (at, nodes, rows) = (self.new.at, self.nodes, self.rows.len());
        let end = places.end;
        for place in places {
            let Entry { node, found, .. } = self.entries[place];
            if !found {
                match self.value(node, element) {
                    Ok(()) => return Ok(place),
                    Err(Halt::Different) => {}
                    Err(Halt::Open) => return Err(Halt::Open),
                }
            }
            let cost = 1 + (nodes - self.nodes) + (self.new.at - at) / BYTES_OF_WORK;
            self.work = self.work.checked_sub(cost).ok_or(Halt::Open)?;
            (self.new.at, self.nodes) = (at, nodes);
            self.rows.truncate(rows);
            self.entries.truncate(end);
        }
        Err(Halt::Different)
    }
}
