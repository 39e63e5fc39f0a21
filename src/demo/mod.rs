//! The demo: an old and a new tag service over real data, a steady load, and a screen that shows what the proxy between them finds.

pub mod catalog;
pub mod children;
pub mod data;
pub mod defects;
pub mod error;
pub mod life;
pub mod load;
mod log;
pub mod observe;
pub mod page;
pub mod part;
pub mod run;
pub mod screen;
pub mod service;
pub mod settings;
pub mod sides;
pub mod skew;
pub mod stage;
pub mod terminal;
mod text;
pub mod view;

pub use error::DemoError;
pub use life::Life;
pub use part::{Part, backend, load};
pub use run::run;
