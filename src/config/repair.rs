//! Repairs of a text, and the way from the repaired text back to places in the text.

use std::borrow::Cow;
use std::ops::Range;

/// A range of the text, and what stands in its place.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    pub(super) span: Range<usize>,
    pub(super) with: Cow<'static, str>,
    /// Problems inside this range of the text are none of the author's.
    pub(super) hides: Range<usize>,
}

/// Repairs that do not overlap, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Repairs(Vec<Repair>);

impl Repairs {
    /// Adds a repair; those that it covers go.
    pub(super) fn push(&mut self, repair: Repair) {
        self.0.retain(|r| !contains(&repair.span, &r.span));
        let index = self.0.partition_point(|r| r.span.start < repair.span.start);
        self.0.insert(index, repair);
    }

    /// The text with every repair in its place.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut repaired = String::with_capacity(text.len());
        let mut at = 0;
        for repair in &self.0 {
            repaired.push_str(&text[at..repair.span.start]);
            repaired.push_str(&repair.with);
            at = repair.span.end;
        }
        repaired.push_str(&text[at..]);
        repaired
    }

    /// The range of the text that a range of the repaired text stands for.
    pub(super) fn original(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.original_offset(span.start);
        start..self.original_offset(span.end).max(start)
    }

    /// Whether a range of the text is something that nobody wrote.
    pub(super) fn hide(&self, span: &Range<usize>) -> bool {
        self.0.iter().any(|r| contains(&r.hides, span))
    }

    /// Whether a range of the text was taken out whole.
    pub(super) fn removed(&self, span: &Range<usize>) -> bool {
        self.0
            .iter()
            .any(|r| r.with.is_empty() && contains(&r.span, span))
    }

    /// Whether something inside a range of the text was repaired.
    pub(super) fn touched(&self, span: &Range<usize>) -> bool {
        self.0.iter().any(|r| contains(span, &r.span))
    }

    fn original_offset(&self, offset: usize) -> usize {
        let mut shift = 0isize;
        for repair in &self.0 {
            let start = repair.span.start.saturating_add_signed(shift);
            if offset < start {
                break;
            }
            if offset < start + repair.with.len() {
                return repair.span.start;
            }
            shift += signed(repair.with.len()) - signed(repair.span.len());
        }
        offset.saturating_add_signed(-shift)
    }
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn signed(length: usize) -> isize {
    isize::try_from(length).expect("no text is longer than isize::MAX")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn what_was_not_repaired_is_found_again(
            cuts in prop::collection::vec((1usize..8, 0usize..8, "[A-Z]{0,5}"), 0..5),
        ) {
            // Each character of the text differs, so that a place is known by its character.
            let text: String = ('\u{100}'..'\u{200}').collect();
            let mut repairs = Repairs::default();
            let mut at = 0;
            for (gap, length, with) in cuts {
                let span = at + gap * 2..at + (gap + length) * 2;
                at = span.end;
                repairs.push(Repair { hides: span.clone(), span, with: with.into() });
            }
            let repaired = repairs.apply(&text);
            for (at, c) in repaired.char_indices().filter(|(_, c)| !c.is_ascii()) {
                let place = repairs.original(&(at..at + c.len_utf8()));
                prop_assert!(text[place.start..].starts_with(c));
            }
        }
    }
}
