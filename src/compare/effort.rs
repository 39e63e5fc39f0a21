//! What a comparison may still spend: time as a count of steps, memory as its owner grants it.
//!
//! Everything that is not linear in the input is paid from here, so that no pair of documents, however hostile, costs more than a constant on top.

use crate::json::Memory;
use std::cell::{Cell, RefCell};

/// The budget of one comparison.
pub(crate) struct Effort<'m> {
    steps: Cell<u64>,
    memory: RefCell<&'m mut dyn Memory>,
    refused: Cell<bool>,
}

/// Values visited in trying which elements are equal within a tolerance, pairs of equal elements looked at by the alignment, and members looked at
/// for likeness.
const STEPS: u64 = 1_000_000;

impl<'m> Effort<'m> {
    pub(crate) fn new(memory: &'m mut dyn Memory) -> Self {
        Self {
            steps: Cell::new(STEPS),
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
        self.steps.set(STEPS);
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
