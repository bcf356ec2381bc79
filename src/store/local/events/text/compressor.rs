//! zstd with the parameters for text columns.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_end, ZSTD_e_flush};
use zstd::zstd_safe::{self, CCtx, CParameter, ErrorCode, InBuffer, OutBuffer, ParamSwitch};

pub const LEVEL: i32 = 1;

/// zstd searches for matches at every position of this distance, in bytes. A whole page is shorter,
/// so it finds none.
const STEP: u32 = 1 << 16;
const NO_MATCHES: [CParameter; 4] = [
    CParameter::HashLog(6),
    CParameter::MinMatch(7),
    CParameter::TargetLength(STEP),
    // By default zstd takes a large step as a request for speed and doesn't compress literals.
    CParameter::LiteralCompressionMode(ParamSwitch::Enable),
];

/// How zstd searches for repeated byte sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchFinder {
    /// No search: bytes only get Huffman codes by their frequency. More is not possible for digits
    /// without a common prefix. 1.7 times as fast for ids of digits, 4 times for dates.
    Nothing,
    /// Searches the last few values only, with a table of 64 entries, for at least seven bytes.
    /// This finds what a value shares with the one before, and is not distracted by chance matches
    /// farther back. "user123@acme.example" takes three quarters of the time and compresses better.
    Near,
    /// Searches the whole page, like zstd's level 1.
    Far,
}

/// Compresses pages, each into one zstd frame.
pub struct Compressor(CCtx<'static>);

impl Compressor {
    /// # Errors
    /// Out of memory.
    pub fn new(finder: MatchFinder) -> Result<Self> {
        let no_memory = || ParquetError::General("zstd can't begin: out of memory".to_owned());
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

    /// Compresses `head` and `text` into one frame. Each gets its own blocks: with numbers and
    /// text in one block the Huffman codes are worse, and files were 3 % larger.
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

    /// Compresses all of `bytes`, then flushes or ends the frame. The output has room, so one call
    /// is enough.
    fn append(
        &mut self,
        bytes: &[u8],
        then: ZSTD_EndDirective,
        out: &mut OutBuffer<'_, Vec<u8>>,
    ) -> Result<()> {
        match self.0.compress_stream2(out, &mut InBuffer::around(bytes), then) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ParquetError::General("zstd found no room".to_owned())),
            Err(code) => Err(error(code)),
        }
    }
}

fn error(code: ErrorCode) -> ParquetError {
    ParquetError::General(format!("zstd: {}", zstd_safe::get_error_name(code)))
}
