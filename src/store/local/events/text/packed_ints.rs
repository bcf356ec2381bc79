//! Parquet's encodings of small integers: definition levels, dictionary indexes, lengths.
//!
//! Only the parts of each encoding (Parquet's Encodings.md) that every reader must support are
//! used: one run for all levels or indexes of a page, and blocks of a fixed size for deltas.

use crate::codec::varint::{push_number, push_signed};

/// The number of deltas between values that share a minimum.
const BLOCK: usize = 128;
/// The number of deltas in a block that share a bit width.
const MINIBLOCK: usize = 32;

/// Returns the number of bits that integers from 0 to `greatest` need.
pub fn bit_width(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
}

/// Appends `values` to `out`. Each value takes `width` bits, the least significant bit first. The
/// last byte is filled with zeros.
fn push_bit_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
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

/// Appends a run of `count` copies of `value`, which has at most eight bits. The encoding is the
/// RLE / bit-packed hybrid.
pub fn push_repeated(value: u8, count: usize, out: &mut Vec<u8>) {
    push_number(out, (count as u64) << 1);
    out.push(value);
}

/// Appends a run of `count` values of one bit. The encoding is the RLE / bit-packed hybrid.
pub fn push_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    push_number(out, (count.div_ceil(8) as u64) << 1 | 1);
    out.extend_from_slice(bits);
}

/// Appends a run of values. Each value has `width` bits, at least 1. The encoding is the RLE /
/// bit-packed hybrid.
pub fn push_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    push_number(out, (groups as u64) << 1 | 1);
    let whole = values.len() / 8 * 8;
    push_bit_packed(&values[..whole], width, out);
    let mut last = [0; 8];
    last[..values.len() - whole].copy_from_slice(&values[whole..]);
    if whole < values.len() {
        push_bit_packed(&last, width, out);
    }
}

/// Appends `values` in the encoding `DELTA_BINARY_PACKED`. The values are lengths below 2 GiB.
pub fn push_delta_packed(values: &[u32], out: &mut Vec<u8>) {
    push_number(out, BLOCK as u64);
    push_number(out, (BLOCK / MINIBLOCK) as u64);
    push_number(out, values.len() as u64);
    push_signed(out, values.first().copied().unwrap_or(0).into());
    for from in (0..values.len().saturating_sub(1)).step_by(BLOCK) {
        push_block(&values[from..values.len().min(from + BLOCK + 1)], out);
    }
}

/// Appends a block of the differences between neighbouring values: at least one, and at most
/// [`BLOCK`] differences.
fn push_block(values: &[u32], out: &mut Vec<u8>) {
    let count = values.len() - 1;
    let mut deltas = [0_i32; BLOCK];
    for ((delta, this), next) in deltas.iter_mut().zip(values).zip(&values[1..]) {
        // The values are below 2 GiB, so that the difference fits into 32 bits.
        *delta = next.wrapping_sub(*this).cast_signed();
    }
    let minimum = deltas[..count].iter().copied().min().unwrap_or(0);
    push_signed(out, minimum.into());
    // The entries after the last difference stay zero.
    let mut offsets = [0_u32; BLOCK];
    for (offset, delta) in offsets.iter_mut().zip(&deltas[..count]) {
        *offset = delta.wrapping_sub(minimum).cast_unsigned();
    }
    let width = |values: &[u32]| bit_width(values.iter().fold(0, |all, value| all | value));
    let miniblocks = || offsets.chunks_exact(MINIBLOCK);
    out.extend(miniblocks().map(|values| width(values) as u8));
    for values in miniblocks().take(count.div_ceil(MINIBLOCK)) {
        match width(values) {
            0 => {}
            width => push_bit_packed(values, width, out),
        }
    }
}
