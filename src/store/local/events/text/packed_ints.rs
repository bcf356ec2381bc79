//! How Parquet writes small integers: levels, places in a dictionary, lengths.
//!
//! Of each encoding (Parquet's Encodings.md) only what every reader must take is used: one run for
//! a whole page of levels or places, and blocks of one size for deltas.

use crate::codec::varint::{push_number, push_signed};

/// How many deltas share a least one.
const BLOCK: usize = 128;
/// How many deltas of a block share a width.
const MINIBLOCK: usize = 32;

/// How many bits the integers up to `greatest` take.
pub fn width_of(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
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
    push_number(out, (count as u64) << 1);
    out.push(value);
}

/// RLE / bit-packed hybrid: `bits` of `count` values of one bit.
pub fn bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    push_number(out, (count.div_ceil(8) as u64) << 1 | 1);
    out.extend_from_slice(bits);
}

/// RLE / bit-packed hybrid: `values` of `width` bits, which is not 0.
pub fn packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    push_number(out, (groups as u64) << 1 | 1);
    let whole = values.len() / 8 * 8;
    pack(&values[..whole], width, out);
    let mut last = [0; 8];
    last[..values.len() - whole].copy_from_slice(&values[whole..]);
    if whole < values.len() {
        pack(&last, width, out);
    }
}

/// `DELTA_BINARY_PACKED`: `values`, which are lengths below 2 GiB.
pub fn binary_packed(values: &[u32], out: &mut Vec<u8>) {
    push_number(out, BLOCK as u64);
    push_number(out, (BLOCK / MINIBLOCK) as u64);
    push_number(out, values.len() as u64);
    push_signed(out, values.first().copied().unwrap_or(0).into());
    for from in (0..values.len().saturating_sub(1)).step_by(BLOCK) {
        block(&values[from..values.len().min(from + BLOCK + 1)], out);
    }
}

/// The deltas between `values`, of which there are at most [`BLOCK`], one at least.
fn block(values: &[u32], out: &mut Vec<u8>) {
    let count = values.len() - 1;
    let mut deltas = [0_i32; BLOCK];
    for ((delta, this), next) in deltas.iter_mut().zip(values).zip(&values[1..]) {
        // Below 2 GiB each, so it fits.
        *delta = next.wrapping_sub(*this).cast_signed();
    }
    let least = deltas[..count].iter().copied().min().unwrap_or(0);
    push_signed(out, least.into());
    // What is past the last stays zero.
    let mut above = [0_u32; BLOCK];
    for (above, delta) in above.iter_mut().zip(&deltas[..count]) {
        *above = delta.wrapping_sub(least).cast_unsigned();
    }
    let width = |values: &[u32]| width_of(values.iter().fold(0, |all, value| all | value));
    let miniblocks = || above.chunks_exact(MINIBLOCK);
    out.extend(miniblocks().map(|values| width(values) as u8));
    for values in miniblocks().take(count.div_ceil(MINIBLOCK)) {
        match width(values) {
            0 => {}
            width => pack(values, width, out),
        }
    }
}
