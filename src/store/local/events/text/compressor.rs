//! zstd as columns of texts want it.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_end, ZSTD_e_flush};
use zstd::zstd_safe::{self, CCtx, CParameter, ErrorCode, InBuffer, OutBuffer, ParamSwitch};

/// The level that every column is compressed at.
pub const LEVEL: i32 = 1;

/// zstd goes over a page in steps of this, in bytes, and so finds nothing.
const STEP: u32 = 1 << 16;
const NO_MATCHES: [CParameter; 4] = [
    CParameter::HashLog(6),
    CParameter::MinMatch(7),
    CParameter::TargetLength(STEP),
    // Else it takes the step for a wish to be faster still, and leaves letters as they are.
    CParameter::LiteralCompressionMode(ParamSwitch::Enable),
];

/// How zstd looks for what repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// It does not: letters get codes by how often they come (Huffman), and that is all that can be
    /// done for numbers without a front. 1.7 times as fast for ids of digits, 4 for times.
    Nothing,
    /// Over the last few values alone, by a table of 64 places, for at least seven letters. What
    /// each value has in common with the one before is found sooner, and what happens to be alike
    /// farther back does not get in its way: "user123@acme.example" takes three
    /// quarters of the time, and comes out smaller.
    Near,
    /// As its level 1 does, over the whole page.
    Far,
}

/// Makes frames, one a page.
pub struct Compressor(CCtx<'static>);

impl Compressor {
    /// # Errors
    /// Its tables can't be made: out of memory.
    pub fn new(finder: Finder) -> Result<Self> {
        let no_memory = || ParquetError::General("zstd can't begin: out of memory".to_owned());
        let mut zstd = CCtx::try_create().ok_or_else(no_memory)?;
        let parameters: &[CParameter] = match finder {
            Finder::Nothing => &NO_MATCHES,
            Finder::Near => &[CParameter::HashLog(6), CParameter::MinMatch(7)],
            Finder::Far => &[],
        };
        for parameter in [CParameter::CompressionLevel(LEVEL)].iter().chain(parameters) {
            zstd.set_parameter(*parameter).map_err(error)?;
        }
        Ok(Self(zstd))
    }

    /// `head` and `letters` as one frame. Each has blocks of its own: numbers would spoil the codes
    /// of letters: files were 3 % larger.
    ///
    /// # Errors
    /// Out of memory.
    pub fn compress(&mut self, head: &[u8], letters: &[u8]) -> Result<Bytes> {
        let room = zstd_safe::compress_bound(head.len()) + zstd_safe::compress_bound(letters.len());
        let mut frame = Vec::with_capacity(room);
        let mut out = OutBuffer::around(&mut frame);
        let size = (head.len() + letters.len()) as u64;
        self.0.set_pledged_src_size(Some(size)).map_err(error)?;
        match letters {
            [] => self.put(head, ZSTD_e_end, &mut out)?,
            _ => {
                self.put(head, ZSTD_e_flush, &mut out)?;
                self.put(letters, ZSTD_e_end, &mut out)?;
            }
        }
        Ok(Bytes::from(frame))
    }

    /// All of `bytes`, and what `then` asks for. There is room for it, so once is enough.
    fn put(
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
