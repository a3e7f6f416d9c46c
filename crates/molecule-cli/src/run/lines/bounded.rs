//! Lines of a stream, none longer than a limit.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A reader of lines.
pub(in crate::run) struct Lines<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
}

/// A line, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::run) enum Piece {
    /// A whole line, without its end; at the end of the stream also what follows the last line.
    Line(Vec<u8>),
    /// The first bytes of a line that is longer than the limit. Its rest follows.
    TooLong(Vec<u8>),
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(in crate::run) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, line: Vec::new() }
    }

    /// The next line; `None` at the end of the stream. What was read of a line is kept if the future is dropped.
    pub(in crate::run) async fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let read = self.reader.fill_buf().await?;
            if read.is_empty() {
                let rest = std::mem::take(&mut self.line);
                return Ok((!rest.is_empty()).then_some(Piece::Line(rest)));
            }
            let room = self.limit - self.line.len();
            let end = read.iter().position(|byte| *byte == b'\n');
            match end {
                Some(end) if end <= room => {
                    self.line.extend_from_slice(&read[..end]);
                    self.reader.consume(end + 1);
                    let mut line = std::mem::take(&mut self.line);
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    return Ok(Some(Piece::Line(line)));
                }
                _ if room == 0 => return Ok(Some(Piece::TooLong(std::mem::take(&mut self.line)))),
                _ => {
                    let taken = read.len().min(room);
                    self.line.extend_from_slice(&read[..taken]);
                    self.reader.consume(taken);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn pieces(text: &str, limit: usize, buffer: usize) -> Vec<String> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text.as_bytes()), limit);
        let mut all = Vec::new();
        while let Some(piece) = lines.next().await.unwrap() {
            all.push(match piece {
                Piece::Line(line) => String::from_utf8(line).unwrap(),
                Piece::TooLong(part) => String::from_utf8(part).unwrap() + "…",
            });
        }
        all
    }

    #[tokio::test]
    async fn lines_are_cut_at_the_limit_whatever_the_buffer_holds() {
        for buffer in 1..12 {
            assert_eq!(pieces("one\r\n\ntwo\nthree", 4, buffer).await, ["one", "", "two", "thre…", "e"], "{buffer}");
            assert_eq!(pieces("", 4, buffer).await, [""; 0]);
            assert_eq!(pieces("four\n", 4, buffer).await.concat().replace('…', ""), "four");
        }
    }
}
