//! The `scrapering` binary: everything is in the library, so that tests reach it.

use std::process::ExitCode;

/// A node lives for months on bursts of small pieces: this allocator gives back what they leave scattered.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    scrapering::cli::main()
}
