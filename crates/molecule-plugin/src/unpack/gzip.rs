//! A decoder of gzip (RFC 1952) that is pushed its input: members in a row, and zeros after the last.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::UnpackError;
use crate::{Refusal, Rule, escaped_up_to};

/// Output is handed on in pieces of this size, so that files are written in few large pieces.
const BUFFER: usize = 128 << 10;

/// How many bytes are gathered first, so that a refusal of something else than gzip can show them.
const START: usize = 16;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

type Out<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), UnpackError>;

/// Decompresses its input. The boundaries of the output's pieces depend on the output alone, never on how the input is cut.
pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
    buffer: Box<[u8]>,
    filled: usize,
    received: u64,
    unpacked: u64,
}

#[derive(Debug)]
enum State {
    /// The first bytes of the input.
    Start { bytes: [u8; START], have: usize },
    /// The header of a member. After the first member it may turn out to be something else.
    Header(Header),
    /// Compressed data.
    Data,
    /// Checksum and length.
    Trailer { bytes: [u8; 8], have: usize },
    /// After a member.
    Between,
    /// After the last member: zeros.
    Zeros,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start { bytes: [0; START], have: 0 },
            inflate: Decompress::new(false),
            crc: Crc::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            filled: 0,
            received: 0,
            unpacked: 0,
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn unpacked(&self) -> u64 {
        self.unpacked
    }

    pub(super) fn push(&mut self, piece: &[u8], out: Out<'_>) -> Result<(), UnpackError> {
        self.received += piece.len() as u64;
        let done = self.advance(piece, out)?;
        self.settle(done, out)
    }

    /// Hands on the output that is in the buffer.
    pub(super) fn flush(&mut self, out: Out<'_>) -> Result<(), UnpackError> {
        let filled = std::mem::take(&mut self.filled);
        out(&self.buffer[..filled])
    }

    pub(super) fn finish(&mut self, out: Out<'_>) -> Result<(), UnpackError> {
        if let State::Start { bytes, have } = self.state {
            let start = bytes;
            let begun = self.begin(&start[..have], out)?;
            self.settle(begun, out)?;
        }
        self.flush(out)?;
        match self.state {
            State::Between | State::Zeros => Ok(()),
            State::Start { .. } | State::Header(_) | State::Data | State::Trailer { .. } => {
                Err(Refusal::new(Rule::GzipTruncated, "the archive ends in the middle of a gzip member").into())
            }
        }
    }

    /// Hands on the output before it returns a refusal: the output may break a rule as well, and earlier.
    fn settle(&mut self, done: Result<(), Refusal>, out: Out<'_>) -> Result<(), UnpackError> {
        match done {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.flush(out)?;
                Err(refusal.into())
            }
        }
    }

    /// Checks the magic number of the first bytes, then reads them.
    fn begin(&mut self, start: &[u8], out: Out<'_>) -> Result<Result<(), Refusal>, UnpackError> {
        if start.is_empty() {
            return Ok(Err(Refusal::new(Rule::NotGzip, "the download is empty")));
        }
        if !start.starts_with(&MAGIC[..start.len().min(2)]) {
            let shown = escaped_up_to(start, START);
            return Ok(Err(Refusal::new(Rule::NotGzip, format!("not a gzip archive (starts with `{shown}`)"))));
        }
        self.state = State::Header(Header::default());
        self.advance(start, out)
    }

    /// The outer error comes from the receiver of the output, the inner one from the decoder.
    fn advance(&mut self, mut input: &[u8], out: Out<'_>) -> Result<Result<(), Refusal>, UnpackError> {
        loop {
            match &mut self.state {
                State::Start { bytes, have } => {
                    input = gather(bytes, have, input);
                    if *have < START {
                        return Ok(Ok(()));
                    }
                    let start = *bytes;
                    if let Err(refusal) = self.begin(&start, out)? {
                        return Ok(Err(refusal));
                    }
                }
                State::Header(header) => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(Ok(())) };
                    input = rest;
                    match header.read(*byte) {
                        Ok(false) => {}
                        Ok(true) => {
                            self.inflate.reset(false);
                            self.crc.reset();
                            self.state = State::Data;
                        }
                        Err(refusal) => return Ok(Err(refusal)),
                    }
                }
                State::Data => {
                    let room = self.buffer.len() - self.filled;
                    let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
                    let status = self.inflate.decompress(input, &mut self.buffer[self.filled..], FlushDecompress::None);
                    let used = count(self.inflate.total_in() - before_in);
                    let made = count(self.inflate.total_out() - before_out);
                    input = &input[used..];
                    self.crc.update(&self.buffer[self.filled..self.filled + made]);
                    self.filled += made;
                    self.unpacked += made as u64;
                    if made == room {
                        self.flush(out)?;
                    }
                    match status {
                        Ok(Status::StreamEnd) => self.state = State::Trailer { bytes: [0; 8], have: 0 },
                        // The buffer is not full, so the input has no more output in it.
                        Ok(Status::Ok | Status::BufError) if made < room && input.is_empty() => return Ok(Ok(())),
                        Ok(Status::Ok | Status::BufError) if used > 0 || made > 0 => {}
                        Ok(Status::Ok | Status::BufError) | Err(_) => {
                            return Ok(Err(Refusal::new(Rule::Deflate, "the compressed data are damaged")));
                        }
                    }
                }
                State::Trailer { bytes, have } => {
                    input = gather(bytes, have, input);
                    if *have < bytes.len() {
                        return Ok(Ok(()));
                    }
                    let [a, b, c, d, e, f, g, h] = *bytes;
                    let (checksum, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                    if checksum != self.crc.sum() {
                        return Ok(Err(Refusal::new(Rule::GzipChecksum, "the content does not match its checksum")));
                    }
                    if length != self.crc.amount() {
                        return Ok(Err(Refusal::new(Rule::GzipChecksum, "the content does not match its length")));
                    }
                    self.state = State::Between;
                }
                State::Between => match input.first() {
                    None => return Ok(Ok(())),
                    Some(0) => self.state = State::Zeros,
                    Some(_) => self.state = State::Header(Header::default()),
                },
                State::Zeros => {
                    return Ok(if input.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(trailing()) });
                }
            }
        }
    }
}

/// Moves bytes of the input into `bytes` until it is full, and returns the rest.
fn gather<'a>(bytes: &mut [u8], have: &mut usize, input: &'a [u8]) -> &'a [u8] {
    let (now, rest) = input.split_at(input.len().min(bytes.len() - *have));
    bytes[*have..*have + now.len()].copy_from_slice(now);
    *have += now.len();
    rest
}

/// Converts a number of bytes within one slice, which always fits.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn trailing() -> Refusal {
    Refusal::new(Rule::GzipTrailing, "something else than zeros follows the last gzip member")
}

/// The header of a member, read byte by byte.
#[derive(Debug, Default)]
struct Header {
    part: Part,
    /// Bytes of the part that have been read.
    at: u16,
    flags: u8,
    extra: u16,
    stored: u16,
    crc: Crc,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    #[default]
    Fixed,
    ExtraLength,
    Extra,
    Name,
    Comment,
    Checksum,
    End,
}

const HAS_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Header {
    /// Takes a byte, and returns whether it was the header's last.
    fn read(&mut self, byte: u8) -> Result<bool, Refusal> {
        if self.part != Part::Checksum {
            self.crc.update(&[byte]);
        }
        let at = self.at;
        self.at = self.at.saturating_add(1);
        match self.part {
            Part::Fixed => {
                self.fixed(at, byte)?;
                if at == 9 {
                    self.go_on(Part::ExtraLength);
                }
            }
            Part::ExtraLength => {
                self.extra |= u16::from(byte) << (8 * at);
                if at == 1 {
                    self.go_on(if self.extra == 0 { Part::Name } else { Part::Extra });
                }
            }
            Part::Extra => {
                if self.at == self.extra {
                    self.go_on(Part::Name);
                }
            }
            Part::Name => {
                if byte == 0 {
                    self.go_on(Part::Comment);
                }
            }
            Part::Comment => {
                if byte == 0 {
                    self.go_on(Part::Checksum);
                }
            }
            Part::Checksum => {
                self.stored |= u16::from(byte) << (8 * at);
                if at == 1 {
                    // The lower half of the header's CRC-32.
                    if u32::from(self.stored) != self.crc.sum() & 0xffff {
                        return Err(Refusal::new(Rule::GzipHeader, "a gzip header does not match its checksum"));
                    }
                    self.part = Part::End;
                }
            }
            Part::End => {}
        }
        Ok(self.part == Part::End)
    }

    fn fixed(&mut self, at: u16, byte: u8) -> Result<(), Refusal> {
        match at {
            0 | 1 if byte != MAGIC[usize::from(at)] => Err(trailing()),
            2 if byte != 8 => {
                Err(Refusal::new(Rule::GzipHeader, format!("a gzip member is compressed by method {byte}")))
            }
            3 if byte & RESERVED != 0 => Err(Refusal::new(Rule::GzipHeader, "a gzip header has reserved flags")),
            3 => {
                self.flags = byte;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Continues with the first part, from this one on, that the flags require.
    fn go_on(&mut self, part: Part) {
        let parts = [
            (Part::ExtraLength, HAS_EXTRA),
            (Part::Extra, HAS_EXTRA),
            (Part::Name, HAS_NAME),
            (Part::Comment, HAS_COMMENT),
            (Part::Checksum, HAS_CHECKSUM),
        ];
        let next = parts.iter().find(|(other, flag)| *other >= part && self.flags & flag != 0);
        self.part = next.map_or(Part::End, |(part, _)| *part);
        self.at = 0;
    }
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip")
            .field("state", &self.state)
            .field("received", &self.received)
            .field("unpacked", &self.unpacked)
            .finish_non_exhaustive()
    }
}
