//! The trie as lookups walk it: few nodes, each of which is one cache line.
//!
//! With a thousand routes a lookup does not cost instructions but lines of memory that are in no cache. So segments that
//! follow each other without a fork are one node, which holds their literals itself; at a fork one place of a table leads
//! to the only literal that can be meant; and methods are bits. The first match in the file wins: a lookup follows literals and
//! placeholders both, and leaves out every branch in which all routes stand behind the best match so far.

use crate::route::table::steps::{Label, Piece, Steps};
use crate::route::table::trie::{self, Trie};
use http::Method;

/// The routes of one host.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// The first is the root: what comes after the leading slash.
    nodes: Vec<Node>,
    slots: Vec<Slot>,
    /// Literals that find no place in a node.
    long: Vec<Box<[u8]>>,
    /// Routes that share a path by their methods, or name methods of their own.
    shared: Vec<trie::Leaf>,
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node {
    /// The first place in the file among the routes at this node and below it.
    first: u32,
    /// The node after a placeholder, or [`NONE`].
    one: u32,
    fan: Fan,
    /// Routes whose last segment led here.
    end: Leaf,
    /// Routes that take the rest of the path from here.
    rest: Leaf,
    way: Way,
}

const _: () = assert!(size_of::<Node>() == 64);

/// The literals after a node: so many slots (a power of two) from here on; none if the mask is 0.
#[derive(Clone, Copy, Debug, Default)]
struct Fan {
    start: u32,
    mask: u32,
}

/// A place of an open-addressing table, at most every second of which is taken.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    /// The node that a literal with this tag leads to, or [`NONE`].
    node: u32,
}

/// The routes of one path, by method.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    /// A bit for each method that has a route; see [`bit`].
    methods: u16,
    /// Whether `route` is a place in [`Packed::shared`].
    is_shared: bool,
    route: u32,
}

/// What leads to a node from the fork before it.
#[derive(Clone, Debug)]
enum Way {
    Short(Steps),
    /// One literal, at this place of [`Packed::long`].
    Long(u32),
}

/// A node that has its place, and is still to be filled.
struct Pending<'t> {
    place: u32,
    label: Label<'t>,
    /// Where it begins in the trie.
    at: usize,
}

impl Packed {
    /// Packs a trie.
    pub(super) fn new(trie: &Trie) -> Self {
        let mut packed = Self {
            nodes: Vec::new(),
            slots: Vec::new(),
            long: Vec::new(),
            shared: Vec::new(),
        };
        // The root has a label that nobody reads.
        let mut pending = vec![packed.reserve(Some(b""), 0)];
        while let Some(next) = pending.pop() {
            packed.fill(trie, &next, &mut pending);
        }
        packed
    }

    fn reserve<'t>(&mut self, label: Label<'t>, at: usize) -> Pending<'t> {
        let place = small(self.nodes.len());
        self.nodes.push(Node {
            first: NONE,
            one: NONE,
            fan: Fan::default(),
            end: Leaf::NONE,
            rest: Leaf::NONE,
            way: Way::Short(Steps::new()),
        });
        Pending { place, label, at }
    }

    fn fill<'t>(&mut self, trie: &'t Trie, node: &Pending<'t>, pending: &mut Vec<Pending<'t>>) {
        let mut steps = Steps::new();
        let mut from = &trie.nodes[node.at];
        let way = if steps.push(node.label) {
            // All routes of the node before the next are below it: it can be left out.
            while let Some((label, next)) = only_way(from)
                && steps.push(label)
            {
                from = &trie.nodes[next];
            }
            Way::Short(steps)
        } else {
            self.long.push(node.label.unwrap_or_default().into());
            Way::Long(small(self.long.len() - 1))
        };
        let one = from.one.map_or(NONE, |at| {
            pending.push(self.reserve(None, at));
            small(self.nodes.len() - 1)
        });
        let fan = self.fan(&from.literals, pending);
        let (end, rest) = (self.leaf(&from.end), self.leaf(&from.rest));
        self.nodes[node.place as usize] = Node {
            first: u32::try_from(from.first).unwrap_or(NONE),
            one,
            fan,
            end,
            rest,
            way,
        };
    }

    fn fan<'t>(
        &mut self,
        literals: &'t [(Box<[u8]>, usize)],
        pending: &mut Vec<Pending<'t>>,
    ) -> Fan {
        if literals.is_empty() {
            return Fan::default();
        }
        let start = self.slots.len();
        let size = (literals.len() * 2).next_power_of_two();
        let empty = Slot { tag: 0, node: NONE };
        self.slots.resize(start + size, empty);
        for (literal, at) in literals {
            let next = self.reserve(Some(literal), *at);
            let tag = tag(literal);
            let mut place = tag as usize & (size - 1);
            while self.slots[start + place].node != NONE {
                place = (place + 1) & (size - 1);
            }
            self.slots[start + place] = Slot {
                tag,
                node: next.place,
            };
            pending.push(next);
        }
        Fan {
            start: small(start),
            mask: small(size - 1),
        }
    }

    fn leaf(&mut self, leaf: &trie::Leaf) -> Leaf {
        let named = leaf
            .named
            .iter()
            .fold(0, |bits, (name, _)| bits | bit(name));
        let methods = leaf.any.map_or(named, |_| EVERY);
        let mut routes = leaf.named.iter().map(|(_, route)| *route).chain(leaf.any);
        let Some(first) = routes.next() else {
            return Leaf::NONE;
        };
        // With the bit of methods that have none of their own a leaf takes them all.
        let is_shared =
            routes.any(|route| route != first) || leaf.any.is_none() && named & OTHER != 0;
        let route = if is_shared {
            self.shared.push(leaf.clone());
            self.shared.len() - 1
        } else {
            first
        };
        Leaf {
            methods,
            is_shared,
            route: small(route),
        }
    }

    /// Lowers `best` to the first route that matches, if it stands before it.
    pub(super) fn search(&self, method: &Method, path: &str, best: &mut usize) {
        let Some(path) = path.as_bytes().strip_prefix(b"/") else {
            return;
        };
        let bit = bit(method);
        let improve = |leaf: &Leaf, best: &mut usize| {
            if leaf.methods & bit == 0 {
                return;
            }
            if leaf.is_shared {
                self.shared[leaf.route as usize].improve(Some(method), best);
            } else {
                *best = (leaf.route as usize).min(*best);
            }
        };
        // A loop with its own stack, since a path in the file may be as deep as it likes. It allocates only where a
        // literal and a placeholder both lead on.
        let mut waiting: Vec<(u32, Option<&[u8]>)> = Vec::new();
        let mut next = Some((0, Some(path)));
        while let Some((at, left)) = next.take().or_else(|| waiting.pop()) {
            let node = &self.nodes[at as usize];
            if node.first as usize >= *best {
                continue;
            }
            let left = match &node.way {
                Way::Short(steps) => steps.follow(left),
                Way::Long(_) => Some(left),
            };
            let Some(left) = left else {
                continue;
            };
            let Some(left) = left else {
                improve(&node.end, best);
                continue;
            };
            improve(&node.rest, best);
            if node.fan.mask == 0 && node.one == NONE {
                continue;
            }
            let piece = Piece::first(left);
            next = self.literal(node.fan, &piece).map(|at| (at, piece.after));
            if node.one != NONE && !piece.text.is_empty() {
                let one = (node.one, piece.after);
                match next {
                    Some(_) => waiting.push(one),
                    None => next = Some(one),
                }
            }
        }
    }

    /// The node that a literal leads to.
    fn literal(&self, fan: Fan, piece: &Piece<'_>) -> Option<u32> {
        if fan.mask == 0 {
            return None;
        }
        let segment = piece.decoded();
        let tag = tag(&segment);
        let mut place = tag & fan.mask;
        loop {
            let slot = self.slots[(fan.start + place) as usize];
            if slot.node == NONE {
                return None;
            }
            if slot.tag == tag && self.label(slot.node) == segment.as_ref() {
                return Some(slot.node);
            }
            place = (place + 1) & fan.mask;
        }
    }

    /// The literal that a node begins with.
    fn label(&self, node: u32) -> &[u8] {
        match &self.nodes[node as usize].way {
            Way::Short(steps) => steps.first(),
            Way::Long(place) => &self.long[*place as usize],
        }
    }
}

/// Where a node leads if there is no route at it, and one way on.
fn only_way(node: &trie::Node) -> Option<(Label<'_>, usize)> {
    if !node.end.is_empty() || !node.rest.is_empty() {
        return None;
    }
    match (node.literals.as_slice(), node.one) {
        ([(literal, next)], None) => Some((Some(literal), *next)),
        ([], Some(next)) => Some((None, next)),
        _ => None,
    }
}

impl Leaf {
    const NONE: Self = Self {
        methods: 0,
        is_shared: false,
        route: NONE,
    };
}

/// The methods that have no bit of their own.
const OTHER: u16 = 1 << 9;
const EVERY: u16 = (1 << 10) - 1;

/// The bit of a method among those of a leaf.
fn bit(method: &Method) -> u16 {
    match *method {
        Method::GET => 1,
        Method::HEAD => 1 << 1,
        Method::POST => 1 << 2,
        Method::PUT => 1 << 3,
        Method::DELETE => 1 << 4,
        Method::PATCH => 1 << 5,
        Method::OPTIONS => 1 << 6,
        Method::CONNECT => 1 << 7,
        Method::TRACE => 1 << 8,
        _ => OTHER,
    }
}

/// A literal's place in a table, and what tells it from most others. The literals are those of the file, so that no client
/// can make them meet.
fn tag(literal: &[u8]) -> u32 {
    let (words, tail) = literal.as_chunks::<8>();
    let tail = tail
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mut hash = literal.len() as u64;
    for word in words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain([tail])
    {
        let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = product ^ product >> 32;
    }
    // The low half, into which the high one was folded.
    hash as u32
}

/// Places and numbers of routes: a file has far fewer than 2^32 of each.
fn small(place: usize) -> u32 {
    u32::try_from(place).expect("a file of routes is shorter than 4 GiB")
}
