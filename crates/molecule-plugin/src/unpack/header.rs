//! A tar header: one block of 512 bytes, refused where readers of tar do not agree on it.

use std::ops::Range;

use crate::{Refusal, Rule, escaped};

/// The size of a block: a tar consists of whole blocks.
pub(super) const BLOCK: usize = 512;

/// The largest mode: permissions, and the bits for set-uid, set-gid and sticky.
const MOST_MODE: u64 = 0o7777;

/// Fields of numbers that nothing here uses. Readers do not agree on what a bad number means, so it is refused too.
const UNUSED: [(&str, Range<usize>); 3] = [("uid", 108..116), ("gid", 116..124), ("mtime", 136..148)];

/// More unused fields, in the formats that have device numbers.
const UNUSED_DEVICE: [(&str, Range<usize>); 2] = [("devmajor", 329..337), ("devminor", 337..345)];

/// One header. All of its numbers are checked; names of owners and targets of links are not read.
pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
    format: Format,
    /// The size field. A pax record may replace it.
    pub(super) size: u64,
    /// Whether the owner's executable bit is set.
    pub(super) executable: bool,
}

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entry(EntryKind),
    Extension(ExtensionKind),
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    Link,
}

/// The type of an extension header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtensionKind {
    /// pax records for the next entry: `x`.
    Pax,
    /// pax records for all entries that follow: `g`.
    Global,
    /// The next entry's name: `L`.
    LongName,
    /// The target of the next entry's link: `K`.
    LongLink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ustar,
    Gnu,
    V7,
}

impl<'a> Header<'a> {
    /// Checks and decodes the fields that every type has.
    pub(super) fn read(block: &'a [u8; BLOCK]) -> Result<Self, Refusal> {
        check_sum(block)?;
        let format = format(block)?;
        let size = number(&block[124..136]).map_err(|what| of_field("size", what))?;
        let mode = number(&block[100..108]).map_err(|what| of_field("mode", what))?;
        if mode > MOST_MODE {
            return Err(of_field("mode", "is above 07777"));
        }
        let devices = if format == Format::V7 { &[][..] } else { &UNUSED_DEVICE };
        for (field, at) in UNUSED.iter().chain(devices) {
            number(&block[at.clone()]).map_err(|what| of_field(field, what))?;
        }
        Ok(Self { block, format, size, executable: mode & 0o100 != 0 })
    }

    /// The type of the entry.
    pub(super) fn kind(&self) -> Result<Kind, Refusal> {
        let flag = self.block[156];
        let refused = |rule, what: &str| Err(Refusal::new(rule, format!("the entry is {what}")));
        match flag {
            b'0' | 0 => Ok(Kind::Entry(EntryKind::File)),
            b'5' => Ok(Kind::Entry(EntryKind::Directory)),
            b'1' | b'2' => Ok(Kind::Entry(EntryKind::Link)),
            // Some readers read such an entry as a file.
            b'x' | b'g' | b'L' | b'K' if self.format == Format::V7 => {
                Err(Refusal::new(Rule::Magic, "an extension header is of V7, which has none"))
            }
            b'x' => Ok(Kind::Extension(ExtensionKind::Pax)),
            b'g' => Ok(Kind::Extension(ExtensionKind::Global)),
            b'L' => Ok(Kind::Extension(ExtensionKind::LongName)),
            b'K' => Ok(Kind::Extension(ExtensionKind::LongLink)),
            b'3' => refused(Rule::Device, "a character device"),
            b'4' => refused(Rule::Device, "a block device"),
            b'6' => refused(Rule::Fifo, "a FIFO"),
            b'7' => refused(Rule::Contiguous, "a contiguous file"),
            b'S' => refused(Rule::Sparse, "a sparse file"),
            other => refused(Rule::EntryType, &format!("of the unknown type `{}`", escaped(&[other]))),
        }
    }

    /// The type of the entry with this name: V7 has no type for directories, and writes them as files whose names end
    /// in `/`.
    pub(super) fn named(&self, kind: EntryKind, name: &[u8]) -> EntryKind {
        match kind {
            EntryKind::File if self.format == Format::V7 && name.ends_with(b"/") => EntryKind::Directory,
            EntryKind::File | EntryKind::Directory | EntryKind::Link => kind,
        }
    }

    /// Adds the header's own name to `name`, without extension headers.
    pub(super) fn name(&self, name: &mut Vec<u8>) {
        if self.format == Format::Ustar {
            let prefix = text(&self.block[345..500]);
            if !prefix.is_empty() {
                name.extend_from_slice(prefix);
                name.push(b'/');
            }
        }
        name.extend_from_slice(text(&self.block[..100]));
    }
}

fn check_sum(block: &[u8; BLOCK]) -> Result<(), Refusal> {
    let field = &block[148..156];
    let whole: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let stored: u32 = field.iter().map(|byte| u32::from(*byte)).sum();
    // In the sum the checksum's own field counts as spaces.
    let computed = whole - stored + 8 * u32::from(b' ');
    match octal(field) {
        Ok(claimed) if claimed == u64::from(computed) => Ok(()),
        Ok(_) => Err(Refusal::new(Rule::Checksum, "the header does not match its checksum")),
        Err(_) => Err(Refusal::new(Rule::Checksum, "where a header should be, there is none")),
    }
}

/// Refuses headers that readers do not agree on. star's headers look like ustar's, but have times in the prefix. Some
/// readers prepend the prefix of GNU and V7 headers to the name.
fn format(block: &[u8; BLOCK]) -> Result<Format, Refusal> {
    let format = match &block[257..265] {
        b"ustar\x0000" => Format::Ustar,
        b"ustar  \0" => Format::Gnu,
        [0, 0, 0, 0, 0, 0, 0, 0] => Format::V7,
        other => {
            return Err(Refusal::new(Rule::Magic, format!("the header's magic is `{}`", escaped(other))));
        }
    };
    match format {
        Format::Ustar if block.ends_with(b"tar\0") => Err(Refusal::new(Rule::Magic, "the header is one of star's")),
        Format::Gnu | Format::V7 if block[345] != 0 => {
            Err(Refusal::new(Rule::Magic, "the header is not ustar's, but has a prefix"))
        }
        Format::Ustar | Format::Gnu | Format::V7 => Ok(format),
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

fn of_field(field: &str, what: &str) -> Refusal {
    Refusal::new(Rule::Number, format!("the header's {field} {what}"))
}

/// A number of a header: octal, or positive in base 256 and below 2⁶².
fn number(field: &[u8]) -> Result<u64, &'static str> {
    match field[0] {
        0x80 => base_256(&field[1..]),
        0x81..=0xff => Err("is negative or too large"),
        _ => octal(field),
    }
}

fn base_256(digits: &[u8]) -> Result<u64, &'static str> {
    digits.iter().try_fold(0, |value: u64, digit| {
        // A number below 2⁵⁴ stays below 2⁶² when eight bits are added.
        if value < 1 << 54 { Ok((value << 8) | u64::from(*digit)) } else { Err("is too large") }
    })
}

/// Digits with spaces before them, and spaces and NULs after them; or NULs alone, which are 0.
fn octal(field: &[u8]) -> Result<u64, &'static str> {
    if field.iter().all(|byte| *byte == 0) {
        return Ok(0);
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| !matches!(byte, b'0'..=b'7')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let spaces = &field[..field.len() - digits.len() - rest.len()];
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, b' ' | 0)) || spaces.iter().any(|byte| *byte != b' ')
    {
        return Err("is no octal number");
    }
    // At most 12 digits of 3 bits.
    Ok(digits.iter().fold(0, |value, digit| (value << 3) | u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_with_spaces_and_nuls_around_them() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"000644 \0", 0o644),
            (b"   644 \0", 0o644),
            (b"644\0\0\0\0\0", 0o644),
            (b"00000000", 0),
            (b"77777777", 0o77_777_777),
            (b"777777777777", 0o777_777_777_777),
            (b"\0\0\0\0\0\0\0\0", 0),
        ] {
            assert_eq!(number(field), Ok(value), "{field:?}");
        }
        for field in [
            &b"0000648\0"[..],
            b"-000644\0",
            b"+000644\0",
            b"0x00644\0",
            b"644 644\0",
            b"644\x00644\0",
            b"        ",
            b"\x00000644\0",
            b"\t000644\0",
            b"      \0\0",
            b"64_4\0\0\0\0",
        ] {
            assert!(number(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn numbers_in_base_256_are_positive_and_below_2_to_the_62() {
        let field = |bytes: [u8; 12]| number(&bytes);
        assert_eq!(field([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Ok(258));
        assert_eq!(field([0x80, 0, 0, 0, 0x3f, 255, 255, 255, 255, 255, 255, 255]), Ok((1 << 62) - 1));
        assert!(field([0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(field([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(field([0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(field([0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(field([0xff; 12]).is_err());
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0xa4]), Ok(0o644));
    }
}
