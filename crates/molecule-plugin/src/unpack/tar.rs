//! A reader of tar that is pushed its input: blocks in, entries out.

use super::extension::Extensions;
use super::header::{BLOCK, EntryKind, ExtensionKind, Header, Kind};
use super::made::{Made, Unmade};
use super::name::EntryPath;
use super::{LinkPolicy, Sink, SkippedLinks, UnpackError, UnpackPolicy, Unpacked};
use crate::{EntryRef, InstallLimits, Refusal, Rule, escaped};

/// The most names of left-out links that are recorded.
const LINKS_NAMED: usize = 20;

/// Reads a tar, and calls a sink to make its entries.
#[derive(Debug)]
pub(super) struct Tar<S> {
    state: State,
    /// A block that came in more than one piece.
    block: [u8; BLOCK],
    have: usize,
    /// Bytes of the tar that were pushed.
    offset: u64,
    extensions: Extensions,
    /// A buffer for names.
    name: Vec<u8>,
    made: Made<S>,
    links: SkippedLinks,
    link_policy: LinkPolicy,
    limits: InstallLimits,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    /// In the content of an entry: the bytes left in it, then the bytes from its end to the end of the block.
    Content(Content, u64, u64),
    /// After an entry's content: the bytes left to the end of the block.
    Padding(u64),
    /// After the first block of zeros.
    OneZero,
    /// After the second block of zeros.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    File,
    Extension(ExtensionKind),
}

impl<S> Tar<S> {
    pub(super) fn new(sink: S, policy: &UnpackPolicy) -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            have: 0,
            offset: 0,
            extensions: Extensions::default(),
            name: Vec::new(),
            made: Made::new(sink),
            links: SkippedLinks::default(),
            link_policy: policy.links,
            limits: policy.limits.clone(),
        }
    }

    pub(super) fn entries(&self) -> u64 {
        self.made.entries()
    }

    pub(super) fn into_sink(self) -> S {
        self.made.into_parts().2
    }

    /// The summary of an archive that is whole, and the sink.
    pub(super) fn into_parts(self, received: u64) -> (Unpacked, S) {
        let (directories, bytes, entries) = (self.made.directories(), self.made.bytes, self.made.entries());
        let (tree, manifest, sink) = self.made.into_parts();
        let unpacked = Unpacked {
            files: tree.len() as u64,
            directories,
            bytes,
            entries,
            received,
            skipped_links: self.links,
            manifest,
            has_setup: tree.get("setup.sh").is_some(),
            tree,
        };
        (unpacked, sink)
    }
}

impl<S: Sink> Tar<S> {
    /// Takes the next bytes of the tar.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        let room = usize::try_from(self.limits.max_unpacked_bytes - self.offset).unwrap_or(usize::MAX);
        let within = &piece[..piece.len().min(room)];
        self.take(within)?;
        if within.len() < piece.len() {
            return Err(too_much(&self.limits, "it goes on after that").into());
        }
        Ok(())
    }

    fn take(&mut self, mut piece: &[u8]) -> Result<(), UnpackError> {
        while !piece.is_empty() {
            let rest = match self.state {
                State::Header | State::OneZero => self.gather(piece)?,
                State::Content(content, left, padding) => {
                    let (now, rest) = split(piece, left);
                    self.offset += now.len() as u64;
                    match content {
                        Content::File => self.made.write(now)?,
                        Content::Extension(_) => self.extensions.push(now),
                    }
                    self.state = State::Content(content, left - now.len() as u64, padding);
                    self.close()?;
                    rest
                }
                State::Padding(left) => {
                    let (now, rest) = split(piece, left);
                    self.offset += now.len() as u64;
                    let left = left - now.len() as u64;
                    self.state = if left == 0 { State::Header } else { State::Padding(left) };
                    rest
                }
                State::End => {
                    if piece.iter().any(|byte| *byte != 0) {
                        let detail = "something else than zeros follows the end of the archive";
                        return Err(Refusal::new(Rule::AfterEnd, detail).into());
                    }
                    self.offset += piece.len() as u64;
                    &[]
                }
            };
            piece = rest;
        }
        Ok(())
    }

    /// Ends the tar, and checks that it is whole.
    pub(super) fn finish(&mut self) -> Result<(), UnpackError> {
        if self.have > 0 || matches!(self.state, State::Content(..) | State::Padding(_)) {
            let detail = format!("the archive ends in the middle of a block, after {} bytes", self.offset);
            return Err(Refusal::new(Rule::PartialBlock, detail).into());
        }
        match self.state {
            State::End => Ok(()),
            State::OneZero => Err(Refusal::new(Rule::EndMark, "the archive ends after one block of zeros").into()),
            State::Header | State::Content(..) | State::Padding(_) => {
                Err(Refusal::new(Rule::EndMark, "the archive ends without its end mark: it was cut").into())
            }
        }
    }

    /// Takes a block: from the piece itself if the piece has all of it, else from the buffer that gathers pieces.
    fn gather<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], UnpackError> {
        if let (0, Some((block, rest))) = (self.have, piece.split_first_chunk()) {
            self.offset += BLOCK as u64;
            self.block(block)?;
            return Ok(rest);
        }
        let (now, rest) = piece.split_at(piece.len().min(BLOCK - self.have));
        self.block[self.have..self.have + now.len()].copy_from_slice(now);
        self.have += now.len();
        self.offset += now.len() as u64;
        if self.have == BLOCK {
            self.have = 0;
            let block = self.block;
            self.block(&block)?;
        }
        Ok(rest)
    }

    fn block(&mut self, block: &[u8; BLOCK]) -> Result<(), UnpackError> {
        let zero = block.iter().all(|byte| *byte == 0);
        match (self.state, zero) {
            (State::OneZero, true) => self.state = State::End,
            (State::OneZero, false) => {
                let detail = "a lone block of zeros stands between entries";
                return Err(Refusal::new(Rule::EndMark, detail).into());
            }
            (_, true) if self.extensions.dangle() => {
                let detail = "the archive ends behind an extension header";
                return Err(Refusal::new(Rule::ExtensionDangling, detail).into());
            }
            (_, true) => self.state = State::OneZero,
            (_, false) => self.header(block)?,
        }
        Ok(())
    }

    fn header(&mut self, block: &[u8; BLOCK]) -> Result<(), UnpackError> {
        let read = Header::read(block).and_then(|header| Ok((header.kind()?, header)));
        let (kind, header) = read.map_err(|refusal| refusal.at(EntryRef::new(self.entries() + 1, raw_name(block))))?;
        self.name.clear();
        match kind {
            Kind::Extension(kind) => {
                header.name(&mut self.name);
                let begun = self.extensions.begin(kind, header.size, &self.limits);
                let begun = begun.and_then(|()| self.charge(header.size));
                begun.map_err(|refusal| refusal.at(EntryRef::new(self.entries() + 1, &self.name)))?;
                self.state = State::Content(Content::Extension(kind), header.size, padding(header.size));
            }
            Kind::Entry(kind) => {
                match self.extensions.name() {
                    Some(name) => self.name.extend_from_slice(name),
                    None => header.name(&mut self.name),
                }
                let size = self.extensions.size().unwrap_or(header.size);
                let has_target = self.extensions.has_link_target();
                self.extensions.clear();
                let kind = header.named(kind, &self.name);
                let begun = self.entry(kind, size, header.executable, has_target);
                self.state = begun.map_err(|unmade| unmade.at(EntryRef::new(self.entries(), &self.name)))?;
            }
        }
        self.close()
    }

    /// Begins an entry whose name is in the buffer for names.
    fn entry(&mut self, kind: EntryKind, size: u64, executable: bool, has_target: bool) -> Result<State, Unmade> {
        self.made.count().entry(self.name.len(), &self.limits)?;
        self.charge(size)?;
        let path = EntryPath::read(&self.name, &self.limits)?;
        if has_target && kind != EntryKind::Link {
            // Some readers make a link of such an entry.
            return Err(
                Refusal::new(Rule::LinkTarget, "it is no link, and an extension header has a target for it").into()
            );
        }
        let named =
            |path: Option<EntryPath>| path.ok_or_else(|| Refusal::new(Rule::NameEmpty, "the entry has no name"));
        match kind {
            EntryKind::File if self.name.ends_with(b"/") => {
                Err(Refusal::new(Rule::FileSlash, "the file is named like a directory").into())
            }
            EntryKind::File => {
                self.made.begin(named(path)?, executable, size, &self.limits)?;
                Ok(State::Content(Content::File, size, padding(size)))
            }
            EntryKind::Directory if size > 0 => {
                Err(Refusal::new(Rule::DirectorySize, "the directory has content").into())
            }
            EntryKind::Directory => {
                // The root exists already.
                if let Some(path) = path {
                    self.made.directory(&path, &self.limits)?;
                }
                Ok(State::Header)
            }
            EntryKind::Link if size > 0 => Err(Refusal::new(Rule::LinkSize, "the link has content").into()),
            EntryKind::Link => {
                self.link(&named(path)?)?;
                Ok(State::Header)
            }
        }
    }

    fn link(&mut self, path: &EntryPath) -> Result<(), Refusal> {
        if path.as_str() == "plugin.yaml" {
            return Err(Refusal::new(Rule::LinkManifest, "it is a link"));
        }
        match self.link_policy {
            LinkPolicy::Reject => Err(Refusal::new(Rule::Link, "it is a link")),
            LinkPolicy::Skip => {
                self.links.count += 1;
                if self.links.names.len() < LINKS_NAMED {
                    self.links.names.push(escaped(path.as_str().as_bytes()));
                }
                Ok(())
            }
        }
    }

    /// Counts a claimed size against the limit before any of it is read.
    fn charge(&self, size: u64) -> Result<(), Refusal> {
        let end = self.offset.saturating_add(size).saturating_add(padding(size));
        if end > self.limits.max_unpacked_bytes {
            return Err(too_much(&self.limits, &format!("with this entry of {size} it has more")));
        }
        Ok(())
    }

    /// Ends an entry's content if there is nothing left of it.
    fn close(&mut self) -> Result<(), UnpackError> {
        let State::Content(content, 0, padding) = self.state else { return Ok(()) };
        match content {
            Content::File => self.made.end()?,
            Content::Extension(kind) => {
                let entry = |refusal: Refusal| refusal.at(EntryRef::new(self.made.entries() + 1, &self.name));
                self.extensions.end(kind).map_err(entry)?;
            }
        }
        self.state = if padding == 0 { State::Header } else { State::Padding(padding) };
        Ok(())
    }
}

/// Bytes from the end of a content of this size to the end of its block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// Splits off at most `most` bytes; returns them and the rest.
fn split(piece: &[u8], most: u64) -> (&[u8], &[u8]) {
    piece.split_at(usize::try_from(most).map_or(piece.len(), |most| most.min(piece.len())))
}

/// The name field of a block that may not be a header; the refusal escapes it.
fn raw_name(block: &[u8; BLOCK]) -> &[u8] {
    block[..100].split(|byte| *byte == 0).next().unwrap_or_default()
}

fn too_much(limits: &InstallLimits, cause: &str) -> Refusal {
    let most = limits.max_unpacked_bytes;
    Refusal::new(
        Rule::UnpackedBytes,
        format!("the archive may have {most} bytes unpacked, and {cause}; raise max_unpacked_bytes if it is honest"),
    )
}
