//! Reads the data file as uploaded: counts its bytes, computes its digest, and enforces
//! `max-data-file`.
//!
//! An error of the input is wrapped in [`StreamError::Input`] before a decompressor gets it. So a
//! disk error is never reported as a damaged file.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::config::Size;
use crate::report::{Failure, FailureText};

/// The errors of reading a data file that do not come from a decompressor.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The host could not read the file.
    #[error("reading the data file failed")]
    Input(#[source] io::Error),
    #[error("the file is larger than {0}")]
    TooLarge(Size),
    #[error("the file is larger than {0} when decompressed")]
    ExpandsTooFar(Size),
}

/// The number of bytes of the data file that were read until now, and their digest. All threads
/// that report the number share the meter.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<MeterState>>);

#[derive(Debug, Default)]
struct MeterState {
    bytes: u64,
    digest: Sha256,
    ended: bool,
}

impl Meter {
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns the SHA-256 of all bytes of the data file. Returns `None` before the end of the
    /// file.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        let metered = self.lock();
        metered.ended.then(|| metered.digest.clone().finalize().into())
    }

    fn lock(&self) -> MutexGuard<'_, MeterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An input whose bytes are counted by a [`Meter`].
pub struct MeteredInput<R> {
    input: R,
    meter: Meter,
    max: Size,
}

impl<R: Read> MeteredInput<R> {
    pub fn new(input: R, meter: Meter, max: Size) -> Self {
        Self { input, meter, max }
    }
}

impl<R: Read> Read for MeteredInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.input.read(buffer) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::other(StreamError::Input(error))),
            }
        };
        let mut metered = self.meter.lock();
        metered.bytes += read as u64;
        metered.digest.update(&buffer[..read]);
        metered.ended |= read == 0 && !buffer.is_empty();
        if metered.bytes > self.max.bytes() {
            return Err(io::Error::other(StreamError::TooLarge(self.max)));
        }
        Ok(read)
    }
}

/// Returns the failure of the import for an error that occurred while the data file was read.
pub fn read_failure(error: &io::Error, meter: &Meter) -> Failure {
    // For an empty file, a decompressor reports that the file is incomplete.
    if meter.bytes() == 0 && meter.sha256().is_some() {
        return Failure::unreadable("the file is empty");
    }
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>());
    match inner {
        Some(StreamError::Input(cause)) => {
            Failure::new(FailureText::Infra, format!("reading the data file failed: {cause}"))
        }
        Some(limit) => Failure::unreadable(limit),
        // The text is that of the error `ZSTD_error_frameParameter_windowTooLarge` of libzstd. The
        // crate reports this error only as text.
        None if error.to_string().contains("too much memory") => Failure::unreadable(
            "the zstd frame needs a window over 32 MiB, which requires too much memory; \
             compress the file without --long",
        ),
        // The other messages of the libraries depend on the sizes of reads.
        None => Failure::unreadable("the compressed data is damaged or incomplete"),
    }
}
