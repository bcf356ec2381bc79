//! Checks of sshd, the authorized-keys helper and the confinement of accounts.

pub mod access;
pub mod confinement;
pub mod helper;
pub mod keys_folder;
pub mod sshd;
pub mod sshd_files;
