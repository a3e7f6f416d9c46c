//! A builder of archives, block by block, so that they can have any fault.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;

/// A tar.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file of mode 0644.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(name, b'0'), content)
    }

    /// Adds a directory.
    pub fn directory(self, name: &str) -> Self {
        self.entry(Header::new(name, b'5').mode(0o755), "")
    }

    /// Adds a pax header with these bytes.
    pub fn pax(self, records: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new("PaxHeaders.0/x", b'x'), records)
    }

    /// Adds an entry with content, and writes its size into the header.
    pub fn entry(self, header: Header, content: impl AsRef<[u8]>) -> Self {
        let size = content.as_ref().len() as u64;
        self.block(header.size(size)).content(content)
    }

    /// Adds a header as it is.
    pub fn block(mut self, header: Header) -> Self {
        self.bytes.extend_from_slice(&header.bytes());
        self
    }

    /// Adds content to the end of its block.
    pub fn content(mut self, content: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(content.as_ref());
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// Adds bytes as they are.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// Adds this number of blocks of zeros.
    pub fn zeros(self, blocks: usize) -> Self {
        self.raw(vec![0; blocks * BLOCK])
    }

    /// The tar with its end mark.
    pub fn tar(self) -> Vec<u8> {
        self.zeros(2).bytes
    }

    /// The tar without an end mark.
    pub fn open(self) -> Vec<u8> {
        self.bytes
    }

    /// The tar with its end mark, compressed.
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }

    /// The tar without an end mark, compressed.
    pub fn gz_open(self) -> Vec<u8> {
        gzip(&self.bytes)
    }
}

/// A gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A pax record with its correct length.
pub fn pax_record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = key.len() + value.as_ref().len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value.as_ref(), b"\n"].concat()
}

/// A header in the format of ustar, whose fields can be changed.
#[derive(Debug, Clone)]
pub struct Header {
    block: [u8; BLOCK],
    keep_checksum: bool,
}

impl Header {
    pub fn new(name: impl AsRef<[u8]>, flag: u8) -> Self {
        let mut block = [0; BLOCK];
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[156] = flag;
        let header = Self { block, keep_checksum: false };
        header
            .field(0, name)
            .mode(0o644)
            .size(0)
            .field(108, b"0000000\0")
            .field(116, b"0000000\0")
            .field(136, b"00000000000\0")
    }

    /// The header in GNU's format.
    pub fn gnu(self) -> Self {
        self.field(257, b"ustar  \0")
    }

    /// The header in the format of the seventh edition (V7).
    pub fn v7(self) -> Self {
        self.field(257, [0; 8])
    }

    pub fn mode(self, mode: u32) -> Self {
        self.field(100, format!("{mode:07o}\0"))
    }

    pub fn size(self, size: u64) -> Self {
        self.field(124, format!("{size:011o}\0"))
    }

    /// Sets bytes at this place of the block.
    pub fn field(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.block[at..at + bytes.as_ref().len()].copy_from_slice(bytes.as_ref());
        self
    }

    /// Keeps the bytes in the field of the checksum.
    pub fn keep_checksum(mut self) -> Self {
        self.keep_checksum = true;
        self
    }

    /// The block, with its checksum.
    pub fn bytes(mut self) -> [u8; BLOCK] {
        if !self.keep_checksum {
            self.block[148..156].fill(b' ');
            let sum: u32 = self.block.iter().map(|byte| u32::from(*byte)).sum();
            self.block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        self.block
    }
}
