//! The `pressel` program.
//!
//! Everything it does is in the library; only the allocation guard is put in place here.

use std::process::ExitCode;

use pressel::alloc_guard::AllocGuard;

#[global_allocator]
static GUARD: AllocGuard = AllocGuard;

fn main() -> ExitCode {
    pressel::cli::main()
}
