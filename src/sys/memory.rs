//! How the C library's allocator gives memory back.
//!
//! An import takes and gives back some MiB a block. Left alone, glibc returns them to the kernel
//! each time, which clears every page anew: of a wholly rejected file's 10 CPU seconds, 1.6. Yet what
//! is large and lives long, as a window of profiles, should go back when it is freed, and not stay as
//! holes between smaller pieces.

/// Freed memory at an arena's end stays for the next block up to this, in bytes.
#[cfg(target_env = "gnu")]
const KEPT: std::ffi::c_int = 8 << 20;

/// An allocation from this size on is the kernel's own mapping, in bytes, and goes when it is freed.
#[cfg(target_env = "gnu")]
const MAPPED: std::ffi::c_int = 2 << 20;

/// Sets the allocator so for all of the process; other C libraries than glibc stay as they are.
/// To be called before threads are made.
pub fn tune() {
    #[cfg(target_env = "gnu")]
    {
        use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD};
        // Refused, imports are slower, and nothing else.
        let _ = set(M_MMAP_THRESHOLD, MAPPED) && set(M_TRIM_THRESHOLD, KEPT);
    }
}

#[cfg(target_env = "gnu")]
fn set(parameter: std::ffi::c_int, bytes: std::ffi::c_int) -> bool {
    // SAFETY: mallopt(3) takes two integers and touches no memory of ours.
    unsafe { nix::libc::mallopt(parameter, bytes) == 1 }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD};

    use super::*;

    #[test]
    fn the_allocator_takes_both() {
        assert!(set(M_MMAP_THRESHOLD, MAPPED) && set(M_TRIM_THRESHOLD, KEPT));
    }
}
