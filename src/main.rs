//! The program `crossfade`: everything it does is in the library.

use std::process::ExitCode;

/// The cost of a request is many small buffers, which the system's allocator is not made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    crossfade::cli::main(std::env::args_os())
}
