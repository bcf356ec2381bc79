//! Reads the data file as uploaded: counts its bytes, computes its digest, enforces its limit.
//!
//! Errors of the input itself pass through decompressors as [`StreamError::Input`], so that a
//! failing disk is never reported as a broken file.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::config::Size;
use crate::report::{Failure, FailureText};

/// The errors of a stream that are not from a decompressor.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The host failed.
    #[error("reading the data file failed")]
    Input(#[source] io::Error),
    #[error("the file is larger than {0}")]
    TooLarge(Size),
    #[error("the file is larger than {0} when decompressed")]
    ExpandsTooFar(Size),
}

/// The bytes read so far and their digest, shared with the threads that report them.
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

    /// Returns the SHA-256 of all bytes; `None` before the end.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        let metered = self.lock();
        metered.ended.then(|| metered.digest.clone().finalize().into())
    }

    fn lock(&self) -> MutexGuard<'_, MeterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metered input.
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

/// Returns the import's failure for a failed read.
pub fn read_failure(error: &io::Error, meter: &Meter) -> Failure {
    // A decompressor reports an empty file as a cut one.
    if meter.bytes() == 0 && meter.sha256().is_some() {
        return Failure::unreadable("the file is empty");
    }
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>());
    match inner {
        Some(StreamError::Input(cause)) => {
            Failure::new(FailureText::Infra, format!("reading the data file failed: {cause}"))
        }
        Some(limit) => Failure::unreadable(limit),
        // libzstd's ZSTD_error_frameParameter_windowTooLarge; the crate reports it as text only.
        None if error.to_string().contains("too much memory") => Failure::unreadable(
            "the zstd frame asks for a window over 32 MiB, which requires too much memory; \
             compress it without --long",
        ),
        // The libraries' other messages depend on where a read happens to end.
        None => Failure::unreadable("the compressed data is broken or cut"),
    }
}
