//! How Parquet writes small integers: levels, places in a dictionary, lengths.
//!
//! Of each encoding (Parquet's Encodings.md) only what every reader must take is used: one run for
//! a whole page of levels or places, and blocks of one size for deltas.

/// How many deltas share a least one.
const BLOCK: usize = 128;
/// How many deltas of a block share a width.
const MINIBLOCK: usize = 32;

/// How many bits the integers up to `greatest` take.
pub fn width_of(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
}

/// ULEB128.
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// Each of `values` in `width` bits, the least significant first. Their number is a multiple of
/// eight, or the last byte is filled with zeros.
fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut waiting) = (0_u64, 0);
    for value in values {
        bits |= u64::from(*value) << waiting;
        waiting += width;
        if waiting >= u32::BITS {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= u32::BITS;
            waiting -= u32::BITS;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..waiting.div_ceil(8) as usize]);
}

/// RLE / bit-packed hybrid: `count` times the same `value`, which has at most eight bits.
pub fn repeated(value: u8, count: usize, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.push(value);
}

/// RLE / bit-packed hybrid: `bits` of `count` values of one bit.
pub fn bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    varint((count.div_ceil(8) as u64) << 1 | 1, out);
    out.extend_from_slice(bits);
}

/// RLE / bit-packed hybrid: `values` of `width` bits, which is not 0.
pub fn packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let whole = values.len() / 8 * 8;
    pack(&values[..whole], width, out);
    let mut last = [0; 8];
    last[..values.len() - whole].copy_from_slice(&values[whole..]);
    if whole < values.len() {
        pack(&last, width, out);
    }
}

/// `DELTA_BINARY_PACKED`: `values`, which are lengths below 2 GiB.
pub fn deltas(values: &[u32], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINIBLOCK) as u64, out);
    varint(values.len() as u64, out);
    zigzag(values.first().copied().unwrap_or(0).into(), out);
    let mut block = [0; BLOCK];
    for window in values.windows(BLOCK + 1).step_by(BLOCK) {
        delta_block(window, &mut block, out);
    }
    let done = values.len().saturating_sub(1) / BLOCK * BLOCK;
    if done + 1 < values.len() {
        delta_block(&values[done..], &mut block, out);
    }
}

/// The deltas between `values`, of which there are at most [`BLOCK`].
fn delta_block(values: &[u32], block: &mut [u32; BLOCK], out: &mut Vec<u8>) {
    let deltas = || values.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0]));
    let least = deltas().min().unwrap_or(0);
    block.fill(0);
    for (slot, delta) in block.iter_mut().zip(deltas()) {
        // Below 2 GiB each, so two lengths lie less than 2^32 apart.
        *slot = (delta - least) as u32;
    }
    zigzag(least, out);
    let width = |values: &[u32]| width_of(values.iter().fold(0, |all, value| all | value));
    let miniblocks = || block.chunks_exact(MINIBLOCK);
    out.extend(miniblocks().map(|values| width(values) as u8));
    let used = (values.len() - 1).div_ceil(MINIBLOCK);
    for values in miniblocks().take(used) {
        pack(values, width(values), out);
    }
}
