//! Compresses text columns with zstd. The parameters of zstd are chosen for such columns.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_end, ZSTD_e_flush};
use zstd::zstd_safe::{self, CCtx, CParameter, ErrorCode, InBuffer, OutBuffer, ParamSwitch};

pub const LEVEL: i32 = 1;

/// The step of zstd's search for matches, in bytes. A page is shorter than one step, so zstd finds
/// no matches.
const STEP: u32 = 1 << 16;
const NO_MATCHES: [CParameter; 4] = [
    CParameter::HashLog(6),
    CParameter::MinMatch(7),
    CParameter::TargetLength(STEP),
    // By default, zstd understands a large step as a request for speed, and does not compress
    // literals.
    CParameter::LiteralCompressionMode(ParamSwitch::Enable),
];

/// The method by which zstd searches for repeated byte sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchFinder {
    /// No search: zstd only assigns Huffman codes by byte frequency. Digits without a common prefix
    /// do not compress further. This is 1.7 times as fast for ids of digits, and 4 times as fast
    /// for dates.
    Nothing,
    /// Searches only the last few values for matches of at least seven bytes, with a table of 64
    /// entries. The search finds the text that a value shares with the previous value, and skips
    /// chance matches farther back. Values such as "user123@acme.example" take three quarters of
    /// the time and compress better.
    Near,
    /// The search covers the whole page, as at zstd's level 1.
    Far,
}

/// Compresses pages. Each page becomes one zstd frame.
pub struct Compressor(CCtx<'static>);

impl Compressor {
    /// Creates a compressor.
    ///
    /// # Errors
    /// Returns an error if memory runs out.
    pub fn new(finder: MatchFinder) -> Result<Self> {
        let no_memory = || ParquetError::General("zstd cannot start: out of memory".to_owned());
        let mut zstd = CCtx::try_create().ok_or_else(no_memory)?;
        let parameters: &[CParameter] = match finder {
            MatchFinder::Nothing => &NO_MATCHES,
            MatchFinder::Near => &[CParameter::HashLog(6), CParameter::MinMatch(7)],
            MatchFinder::Far => &[],
        };
        for parameter in [CParameter::CompressionLevel(LEVEL)].iter().chain(parameters) {
            zstd.set_parameter(*parameter).map_err(error)?;
        }
        Ok(Self(zstd))
    }

    /// Compresses `head` and `text` into one frame, in separate blocks. In shared blocks the
    /// Huffman codes of numbers and text are worse, and files were 3 % larger.
    pub fn compress(&mut self, head: &[u8], text: &[u8]) -> Result<Bytes> {
        let room = zstd_safe::compress_bound(head.len()) + zstd_safe::compress_bound(text.len());
        let mut frame = Vec::with_capacity(room);
        let mut out = OutBuffer::around(&mut frame);
        let size = (head.len() + text.len()) as u64;
        self.0.set_pledged_src_size(Some(size)).map_err(error)?;
        match text {
            [] => self.append(head, ZSTD_e_end, &mut out)?,
            _ => {
                self.append(head, ZSTD_e_flush, &mut out)?;
                self.append(text, ZSTD_e_end, &mut out)?;
            }
        }
        Ok(Bytes::from(frame))
    }

    /// Compresses all of `bytes`, and then flushes or ends the zstd frame. The output buffer is
    /// large enough for a single call.
    fn append(
        &mut self,
        bytes: &[u8],
        then: ZSTD_EndDirective,
        out: &mut OutBuffer<'_, Vec<u8>>,
    ) -> Result<()> {
        match self.0.compress_stream2(out, &mut InBuffer::around(bytes), then) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ParquetError::General("the output buffer of zstd is full".to_owned())),
            Err(code) => Err(error(code)),
        }
    }
}

fn error(code: ErrorCode) -> ParquetError {
    ParquetError::General(format!("zstd failed: {}", zstd_safe::get_error_name(code)))
}
