//! The comparison of an archive with the recorded one, of which only the first bytes were recorded; inflated, they are
//! a good part of it.

use std::io::{ErrorKind, Read};

use flate2::read::GzDecoder;

use crate::compare::Result;

const BLOCK: usize = 512;
/// The bytes of a header that may differ: the modification time and the checksum.
const CHANGING: std::ops::Range<usize> = 136..156;

/// Compares the beginning of an archive, recorded as one character per byte, with a complete archive. Times may differ.
pub(crate) fn same_beginning(recorded: &str, ours: &[u8]) -> Result {
    let recorded: Vec<u8> = recorded.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
    if recorded[..10] != ours[..10] {
        return Err(format!("the gzip header is {:?} instead of {:?}", &ours[..10], &recorded[..10]));
    }
    let (mut recorded, mut ours) = (inflate(&recorded), inflate(ours));
    if recorded.len() < BLOCK || ours.len() < recorded.len() {
        return Err(format!("{} bytes where {} were recorded", ours.len(), recorded.len()));
    }
    let mut at = 0;
    while ours.get(at).is_some_and(|first| *first != 0) {
        let content = tar::Header::from_byte_slice(&ours[at..at + BLOCK]).entry_size().unwrap();
        for stream in [&mut recorded, &mut ours] {
            let (from, to) = (at + CHANGING.start, at + CHANGING.end);
            let end = to.min(stream.len());
            stream[from.min(end)..end].fill(0);
        }
        at += BLOCK + usize::try_from(content).unwrap().next_multiple_of(BLOCK);
    }
    match recorded.iter().zip(&ours).position(|(recorded, ours)| recorded != ours) {
        Some(at) => Err(format!("byte {at} of the archive is {} instead of {}", ours[at], recorded[at])),
        None => Ok(()),
    }
}

/// Inflates as much as possible.
fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    match GzDecoder::new(bytes).read_to_end(&mut stream) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("{error}"),
    }
    stream
}
