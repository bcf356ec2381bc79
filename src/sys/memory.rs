//! Settings of the C library's allocator: when it returns memory to the kernel.
//!
//! An import allocates and frees some MiB for each block of records. By default glibc returns this
//! memory to the kernel each time, and the kernel clears every page again: for a file with only
//! rejected records this took 1.6 of 10 CPU seconds. Large allocations that live long, such as a
//! window of profiles, should still return to the kernel when they are freed, and not leave holes
//! between smaller allocations.

/// The free memory that glibc keeps at the end of an arena, in bytes.
#[cfg(target_env = "gnu")]
const KEPT: std::ffi::c_int = 8 << 20;

/// The minimum size in bytes of allocations that have a separate mapping. free(3) returns such a
/// mapping to the kernel.
#[cfg(target_env = "gnu")]
const MAPPED: std::ffi::c_int = 2 << 20;

/// Sets the parameters of the allocator for the whole process. Does nothing with C libraries other
/// than glibc. Must be called before threads are started.
pub fn tune() {
    #[cfg(target_env = "gnu")]
    {
        use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD};
        // If the C library refuses a setting, imports are only slower.
        let _ = set(M_MMAP_THRESHOLD, MAPPED) && set(M_TRIM_THRESHOLD, KEPT);
    }
}

#[cfg(target_env = "gnu")]
fn set(parameter: std::ffi::c_int, bytes: std::ffi::c_int) -> bool {
    // SAFETY: mallopt(3) takes two integers and accesses no memory of this process.
    unsafe { nix::libc::mallopt(parameter, bytes) == 1 }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD};

    use super::*;

    #[test]
    fn the_allocator_accepts_both_settings() {
        assert!(set(M_MMAP_THRESHOLD, MAPPED) && set(M_TRIM_THRESHOLD, KEPT));
    }
}
