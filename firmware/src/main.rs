//! The `pressel` program: everything it does is in the library.

use std::process::ExitCode;

use pressel::alloc_guard::AllocGuard;

#[global_allocator]
static GUARD: AllocGuard = AllocGuard;

fn main() -> ExitCode {
    pressel::cli::main()
}
