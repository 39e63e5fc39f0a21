//! What a comparison may still spend: time as a count of steps, memory as its owner grants it.
//!
//! Everything that is not linear in the input is paid from here, so that no pair of documents, however hostile, costs more than a constant on top.

use crate::json::Memory;
use std::cell::{Cell, RefCell};

/// The budget of one comparison.
pub(crate) struct Effort<'m> {
    steps: Cell<u64>,
    /// As many as there are for each part of the work.
    most: u64,
    /// Operations that a patch may have.
    operations: usize,
    memory: RefCell<&'m mut dyn Memory>,
    refused: Cell<bool>,
}

/// Values visited in trying which elements are equal within a tolerance, pairs of equal elements looked at by the alignment, and members looked at
/// for likeness.
const STEPS: u64 = 1_000_000;
/// For each byte that came, before it was decoded: to look at all pairs of the elements of plain answers takes fewer, until there are more than [`STEPS`].
const STEPS_OF_A_BYTE: u64 = 256;
/// An operation of a patch costs what hundreds of values do, since its value is hidden and kept. Plain answers have as many bytes for each that they may have.
const BYTES_OF_AN_OPERATION: usize = 4;
/// Operations that any patch may have.
const LEAST_OPERATIONS: usize = 8;

impl<'m> Effort<'m> {
    /// For two answers of so many bytes as they came.
    pub(crate) fn new(memory: &'m mut dyn Memory, came: usize) -> Self {
        let most = STEPS_OF_A_BYTE.saturating_mul(came as u64).min(STEPS);
        Self {
            steps: Cell::new(most),
            most,
            operations: LEAST_OPERATIONS + came / BYTES_OF_AN_OPERATION,
            memory: RefCell::new(memory),
            refused: Cell::new(false),
        }
    }

    /// Takes steps, if there are so many left; else none.
    pub(crate) fn spend(&self, steps: u64) -> bool {
        let left = self.steps.get().checked_sub(steps);
        if let Some(left) = left {
            self.steps.set(left);
        }
        left.is_some()
    }

    /// Takes steps that were made already, as far as there are any left.
    pub(crate) fn owe(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_sub(steps));
    }

    /// Gives back all steps, for the next part of the work.
    pub(crate) fn refill(&self) {
        self.steps.set(self.most);
    }

    /// How many operations a patch may have.
    pub(crate) fn operations(&self) -> usize {
        self.operations
    }

    /// Asks for memory that the verdict depends on: a refusal is remembered.
    pub(crate) fn require(&self, bytes: usize) -> bool {
        let granted = self.ask(bytes);
        if !granted {
            self.refused.set(true);
        }
        granted
    }

    /// Asks for memory that the verdict does not depend on.
    pub(crate) fn ask(&self, bytes: usize) -> bool {
        self.memory.borrow_mut().charge(bytes)
    }

    /// Whether memory that the verdict depends on was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Unlimited;

    #[test]
    fn there_are_as_many_steps_as_the_bytes_that_came_are_worth() {
        let check = |came: usize, expected: u64| {
            let mut memory = Unlimited;
            let effort = Effort::new(&mut memory, came);
            for _ in 0..2 {
                assert!(!effort.spend(expected + 1), "{came}");
                assert!(effort.spend(expected), "{came}");
                effort.refill();
            }
            effort.operations()
        };
        assert_eq!(check(0, 0), 8);
        assert_eq!(check(100, 25_600), 33);
        assert_eq!(check(3_906, 999_936), 984);
        check(10_000, 1_000_000);
        check(usize::MAX, 1_000_000);
    }
}
