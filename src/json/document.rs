//! A read document: its values in one arena, in document order.
//!
//! Invariant: a value's whole subtree stands right behind it, so `node + 1` is its first child and its end the next sibling. Texts are places in the
//! input, or in one side buffer where they had to be unescaped; nothing is allocated for a single value. Documents are made by `reader`.

/// A place in the input, or (with the highest bit of `start`) in the unescaped texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// Marks a place in the unescaped texts; inputs are shorter than this.
    pub(crate) const UNESCAPED: u32 = 1 << 31;
}

/// A count of an input's parts, as the arena keeps it.
pub(crate) fn index(len: usize) -> u32 {
    u32::try_from(len).expect("input, and so every count of its parts, is shorter than 2 GiB")
}

/// A place in the input.
pub(crate) fn span(start: usize, len: usize) -> Span {
    Span {
        start: index(start),
        len: index(len),
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
}

/// One value of the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The member's name, empty elsewhere.
    pub(crate) key: Span,
    /// A number's or a string's text; an array or object from bracket to bracket.
    pub(crate) text: Span,
    /// First slot behind the subtree.
    pub(crate) end: u32,
    pub(crate) tag: Tag,
    /// An object that has a key twice.
    pub(crate) repeats: bool,
}

/// A value's place in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub(crate) u32);

impl Node {
    /// The document's outermost value.
    pub const ROOT: Self = Self(0);

    /// The place as a number: values are counted in document order, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'d> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text as it came.
    Number(&'d str),
    /// A string, unescaped.
    String(&'d str),
    /// An array; its elements are the node's children.
    Array,
    /// An object; its members are the node's children.
    Object,
}

/// A whole document, read by [`Document::read`](crate::json::reader).
#[derive(Clone, Debug)]
pub struct Document<'a> {
    pub(crate) input: &'a str,
    pub(crate) unescaped: String,
    pub(crate) slots: Vec<Slot>,
}

impl Document<'_> {
    /// What a node is.
    #[must_use]
    pub fn value(&self, node: Node) -> Value<'_> {
        let slot = &self.slots[node.index()];
        match slot.tag {
            Tag::Null => Value::Null,
            Tag::False => Value::Bool(false),
            Tag::True => Value::Bool(true),
            Tag::Number => Value::Number(self.text(slot.text)),
            Tag::String => Value::String(self.text(slot.text)),
            Tag::Array => Value::Array,
            Tag::Object => Value::Object,
        }
    }

    /// Whether a node is a number or a string.
    pub(crate) fn is_scalar(&self, node: Node) -> bool {
        matches!(self.slots[node.index()].tag, Tag::Number | Tag::String)
    }

    /// A number, a string, an array or an object as it was written.
    pub(crate) fn raw(&self, node: Node) -> &[u8] {
        self.bytes(self.slots[node.index()].text)
    }

    /// The name of an object's member, unescaped; empty for any other node.
    #[must_use]
    pub fn key(&self, node: Node) -> &str {
        self.text(self.slots[node.index()].key)
    }

    /// The same as bytes.
    pub(crate) fn key_bytes(&self, node: Node) -> &[u8] {
        self.bytes(self.slots[node.index()].key)
    }

    /// The elements of an array or the members of an object, in order; none for any other node.
    #[must_use]
    pub fn children(&self, node: Node) -> Children<'_> {
        Children {
            slots: &self.slots,
            next: node.0 + 1,
            end: self.slots[node.index()].end,
        }
    }

    /// How many children a node has, by counting them.
    #[must_use]
    pub fn count(&self, node: Node) -> usize {
        self.children(node).count()
    }

    /// An array or object as it was written, from bracket to bracket. None for any other node, and where that is long: what is within it may be looked
    /// at again, at each level.
    pub(crate) fn written(&self, node: Node) -> Option<&[u8]> {
        const LONG: u32 = 1_024;
        let slot = &self.slots[node.index()];
        match slot.tag {
            Tag::Array | Tag::Object => (slot.text.len <= LONG).then(|| self.bytes(slot.text)),
            Tag::Null | Tag::False | Tag::True | Tag::Number | Tag::String => None,
        }
    }

    /// A node and everything below it, in document order.
    pub fn subtree(
        &self,
        node: Node,
    ) -> impl DoubleEndedIterator<Item = Node> + ExactSizeIterator + use<> {
        (node.0..self.slots[node.index()].end).map(Node)
    }

    /// The texts of all numbers, in document order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &str> {
        let numbers = self.slots.iter().filter(|slot| slot.tag == Tag::Number);
        numbers.map(|slot| self.text(slot.text))
    }

    /// Whether a node is an object that has a key more than once.
    #[must_use]
    pub fn repeats(&self, node: Node) -> bool {
        self.slots[node.index()].repeats
    }

    /// How many values the document has.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a document has at least its root"
    )]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where a text stands in the input; nowhere if it had to be unescaped.
    pub(crate) fn place(&self, text: Span) -> Option<(&[u8], usize)> {
        (text.start & Span::UNESCAPED == 0).then_some((self.input.as_bytes(), text.start as usize))
    }

    /// The bytes of a text.
    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let len = span.len as usize;
        if span.start & Span::UNESCAPED == 0 {
            &self.input.as_bytes()[span.start as usize..][..len]
        } else {
            &self.unescaped.as_bytes()[(span.start & !Span::UNESCAPED) as usize..][..len]
        }
    }

    #[inline]
    pub(crate) fn text(&self, span: Span) -> &str {
        let len = span.len as usize;
        if span.start & Span::UNESCAPED == 0 {
            let start = span.start as usize;
            &self.input[start..start + len]
        } else {
            let start = (span.start & !Span::UNESCAPED) as usize;
            &self.unescaped[start..start + len]
        }
    }
}

/// See [`Document::children`].
#[derive(Clone, Debug)]
pub struct Children<'d> {
    slots: &'d [Slot],
    next: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        if self.next >= self.end {
            return None;
        }
        let node = Node(self.next);
        self.next = self.slots[node.index()].end;
        Some(node)
    }
}
