//! The lines of a journal: each holds one record behind its length and a checksum, so that a torn or damaged one is told
//! from a whole one.
//!
//! A line is `<length, hexadecimal> <first 4 bytes of the record's SHA-256, hexadecimal> <record, JSON>`. A line feed stands
//! *before* each line: whatever an append that failed has left behind, the next append begins a line of its own.

use std::io::Write as _;

use sha2::{Digest, Sha256};

/// Adds a line to the buffer.
pub(crate) fn write(buffer: &mut Vec<u8>, record: &[u8]) {
    write_pieces(buffer, &[record]);
}

/// Adds a line with the record that these pieces make.
pub(crate) fn write_pieces(buffer: &mut Vec<u8>, record: &[&[u8]]) {
    let length: usize = record.iter().map(|piece| piece.len()).sum();
    write!(buffer, "\n{length:x} {:08x} ", checksum(record)).expect("a vector takes everything");
    record.iter().for_each(|piece| buffer.extend_from_slice(piece));
}

/// What a line holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A record, as it was written.
    Whole(&'a [u8]),
    /// The first part of a line, which a crash or a full disk has left.
    Torn,
    /// Something that was never written so.
    Damaged,
}

/// Reads a line, without its line feed.
pub(crate) fn read(line: &[u8]) -> Line<'_> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let is_hex = |part: &[u8], most: usize| part.len() <= most && part.iter().all(u8::is_ascii_hexdigit);
    let (Some(length), sum, record) = (parts.next(), parts.next(), parts.next()) else { return Line::Damaged };
    if !is_hex(length, 8) || !is_hex(sum.unwrap_or_default(), 8) || (length.is_empty() && sum.is_some()) {
        return Line::Damaged;
    }
    let Some(record) = record else { return Line::Torn };
    let declared = std::str::from_utf8(length).ok().and_then(|length| usize::from_str_radix(length, 16).ok());
    match declared {
        Some(declared) if record.len() < declared && sum.is_some_and(|sum| sum.len() == 8) => Line::Torn,
        Some(declared)
            if record.len() == declared && sum == Some(format!("{:08x}", checksum(&[record])).as_bytes()) =>
        {
            Line::Whole(record)
        }
        _ => Line::Damaged,
    }
}

/// A file system may leave zeros where it had reserved room and not written yet. JSON has none.
pub(crate) fn without_zeros(line: &[u8]) -> &[u8] {
    let zeros = line.iter().rev().take_while(|byte| **byte == 0).count();
    &line[..line.len() - zeros]
}

fn checksum(record: &[&[u8]]) -> u32 {
    let digest = record.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    let first = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    u32::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_whole_torn_or_damaged() {
        let mut buffer = Vec::new();
        write(&mut buffer, br#"{"begun":{}}"#);
        let mut in_pieces = Vec::new();
        write_pieces(&mut in_pieces, &[b"", br#"{"begun""#, b":{}}"]);
        assert_eq!(in_pieces, buffer);
        let line = &buffer[1..];
        assert_eq!(line, br#"c d4d2e529 {"begun":{}}"#);
        assert_eq!(read(line), Line::Whole(br#"{"begun":{}}"#));
        for cut in 0..line.len() {
            assert_eq!(read(&line[..cut]), Line::Torn, "cut at {cut}");
        }
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.to_vec();
                damaged[at] ^= 1 << bit;
                // A digit in the other case is the same number.
                if let Line::Whole(record) = read(&damaged) {
                    assert_eq!(record, &line[11..], "bit {bit} of byte {at}");
                }
            }
        }
        for damaged in [&b"one two three"[..], b" ", b"c  {}", b"\0\0\0", b"ffffffffffffffffff 00000000 {}"] {
            assert_eq!(read(damaged), Line::Damaged, "{damaged:?}");
        }
    }
}
