//! Whether clients are served: said by whoever opens the listeners, shown by `/readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether clients are served. Clones are one cell.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    open: Arc<AtomicBool>,
}

impl Readiness {
    /// Not ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A plan is loaded and the listeners are open.
    pub fn open(&self) {
        self.open.store(true, Relaxed);
    }

    /// The proxy has begun to stop.
    pub fn close(&self) {
        self.open.store(false, Relaxed);
    }

    /// Whether clients are served.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }
}
