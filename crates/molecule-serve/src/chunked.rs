//! The chunks of a body, as they are on the wire.
//!
//! What others may read in another way is refused: extensions, trailers, blanks, bare line feeds.

use molecule_core::machines::Refusal;

use crate::head::bad;

/// The longest size in hexadecimal digits: no sum of such sizes overflows while a body is bounded.
const LONGEST_SIZE: u8 = 8;

/// A place in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// In the size of a chunk, after this many digits.
    Size {
        digits: u8,
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// After the last chunk.
    EndCr,
    EndLf,
    Done,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self::Size { digits: 0, size: 0 }
    }

    /// The number of bytes that are data for certain, whatever they are.
    pub(crate) fn data(self) -> u64 {
        match self {
            Self::Data { left } => left,
            Self::Size { .. }
            | Self::SizeEnd { .. }
            | Self::DataCr
            | Self::DataLf
            | Self::EndCr
            | Self::EndLf
            | Self::Done => 0,
        }
    }

    /// Goes on after this many bytes of data.
    pub(crate) fn skip(self, bytes: u64) -> Self {
        match self {
            Self::Data { left } if bytes < left => Self::Data { left: left - bytes },
            Self::Data { .. } => Self::DataCr,
            other => other,
        }
    }

    /// Goes on over these bytes up to the next data, or to the end of the body. Returns how many that are.
    ///
    /// # Errors
    /// If they are no chunks, or more than sizes and data.
    pub(crate) fn walk(self, bytes: &[u8]) -> Result<(usize, Self), Refusal> {
        let (mut at, mut place) = (0, self);
        while at < bytes.len() && place.data() == 0 && place != Self::Done {
            place = place.step(bytes[at])?;
            at += 1;
        }
        Ok((at, place))
    }

    fn step(self, byte: u8) -> Result<Self, Refusal> {
        Ok(match (self, byte) {
            (Self::Size { digits, size }, byte) if byte.is_ascii_hexdigit() && digits < LONGEST_SIZE => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeEnd { size },
            (Self::Size { digits: 1.., .. }, b';') => return Err(bad("a chunk of the body has an extension")),
            (Self::Size { .. }, _) => return Err(bad("the size of a chunk is malformed")),
            (Self::SizeEnd { size: 0 }, b'\n') => Self::EndCr,
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::new(),
            (Self::EndCr, b'\r') => Self::EndLf,
            (Self::EndCr, _) => return Err(bad("the body has trailers")),
            (Self::EndLf, b'\n') => Self::Done,
            (Self::SizeEnd { .. } | Self::DataCr | Self::DataLf | Self::EndLf, _) => {
                return Err(bad("a chunk of the body is malformed"));
            }
            (Self::Data { .. } | Self::Done, _) => self,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Goes on over these bytes, data as well. Returns how many of them belong to the body.
    fn read(mut place: Chunked, bytes: &[u8]) -> Result<(usize, Chunked), Refusal> {
        let mut at = 0;
        while at < bytes.len() && place != Chunked::Done {
            let data = usize::try_from(place.data()).unwrap().min(bytes.len() - at);
            let (length, next) = if data > 0 { (data, place.skip(data as u64)) } else { place.walk(&bytes[at..])? };
            (at, place) = (at + length, next);
        }
        Ok((at, place))
    }

    /// The length of a body as it is found in pieces of any size, which must be the same.
    fn length(bytes: &[u8]) -> Result<(usize, Chunked), Refusal> {
        let whole = read(Chunked::new(), bytes);
        for size in 1..=bytes.len() {
            let (mut at, mut place) = (0, Chunked::new());
            for piece in bytes.chunks(size) {
                match read(place, piece) {
                    Ok((here, next)) => (at, place) = (at + here, next),
                    Err(refusal) => {
                        assert_eq!(whole, Err(refusal));
                        return whole;
                    }
                }
            }
            assert_eq!(whole, Ok((at, place)), "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_body_ends_with_its_last_chunk() {
        assert_eq!(length(b"0\r\n\r\nGET /"), Ok((5, Chunked::Done)));
        assert_eq!(length(b"5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\nPOST"), Ok((32, Chunked::Done)));
        assert_eq!(length(b"5\r\n\r\n0\r\n"), Ok((8, Chunked::DataCr)), "it is data, whatever it looks like");
    }

    #[test]
    fn what_is_cut_is_not_done() {
        let body = b"5\r\nhello\r\n0\r\n\r\n";
        for end in 1..body.len() {
            let (read, place) = length(&body[..end]).unwrap();
            assert!(read == end && place != Chunked::Done, "{end}");
        }
    }

    #[test]
    fn extensions_trailers_and_what_others_read_in_another_way_are_refused() {
        for (body, why) in [
            (&b"5;a=b\r\nhello\r\n"[..], "an extension"),
            (b"0;a\r\n\r\n", "an extension"),
            (b"0\r\nX: 1\r\n\r\n", "trailers"),
            (b"0\r\n\n", "trailers"),
            (b"5\nhello\r\n", "malformed"),
            (b"5 \r\nhello\r\n", "malformed"),
            (b"\r\n", "malformed"),
            (b"x\r\n", "malformed"),
            (b"-5\r\n", "malformed"),
            (b"0x5\r\n", "malformed"),
            (b"123456789\r\n", "malformed"),
            (b"5\rhello\r\n", "malformed"),
            (b"5\r\nhelloX", "malformed"),
            (b"5\r\nhello\rX", "malformed"),
            (b"0\r\n\rX", "malformed"),
        ] {
            let refusal = length(body).unwrap_err();
            assert!(refusal.why.contains(why), "{body:?}: {}", refusal.why);
        }
    }
}
