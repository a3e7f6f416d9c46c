//! The archive of a plugin, and the check that it passes: the installer's own.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder};
use molecule_async::core::plugin::Verified;
use molecule_async::core::unpack::{
    EntryPath, LinkPolicy, Sink, TakenBy, UnpackError, UnpackPolicy, Unpacked, Unpacker,
};
use molecule_async::{InstallLimits, PluginName};
use std::collections::BTreeMap;
use tar::{Builder, EntryType, Header};

use super::tree::{Entry, Kind, Tree, failed, shown};
use crate::exit::{self, Failure};

/// The number for an unknown system in the head of gzip, so that archives of all systems are alike.
const ANY_SYSTEM: u8 = 255;

/// Writes the archive of a plugin, and has the installer's reader read it at the same time. The same tree makes the same
/// bytes: names are sorted, owners and times are 0, and a mode says only whether a file is executable.
///
/// # Errors
/// The rule that an installer would refuse it by.
pub(super) fn pack(tree: &Tree, name: &PluginName, out: impl Write) -> Result<(Unpacked, Verified), Failure> {
    let policy = UnpackPolicy::default().limits(InstallLimits::default()).links(LinkPolicy::Reject);
    let checked = Checked { out, unpacker: Unpacker::new(Names::default(), &policy), refused: None };
    let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM).write(checked, Compression::best());
    let mut archive = Builder::new(gzip);
    let mut written = tree.entries.iter().try_for_each(|entry| append(&mut archive, tree, entry));
    if written.is_ok() {
        written = archive.finish().map_err(Written::Output);
    }
    let gzip = match archive.into_inner() {
        Ok(gzip) => gzip,
        Err(error) => return Err(judge(written.err().unwrap_or(Written::Output(error)), None)),
    };
    let refused = gzip.get_ref().refused.as_ref().map(ToString::to_string);
    if let Err(error) = written {
        return Err(judge(error, refused));
    }
    let mut checked = match gzip.finish() {
        Ok(checked) => checked,
        Err(error) => return Err(judge(Written::Output(error), None)),
    };
    checked.out.flush().map_err(|error| judge(Written::Output(error), None))?;
    if let Some(refused) = checked.refused {
        return Err(refusal(&refused));
    }
    let (unpacked, _) = checked.unpacker.finish().map_err(|(error, _)| refusal(&error))?;
    let verified = unpacked.verify(name, None).map_err(|error| refusal(&UnpackError::Refused(error)))?;
    Ok((unpacked, verified))
}

/// Why an archive was not written.
enum Written {
    /// A file of the plugin.
    Source(Failure),
    /// The archive itself, or the check.
    Output(io::Error),
}

fn judge(written: Written, refused: Option<String>) -> Failure {
    match (written, refused) {
        (Written::Source(failure), _) => failure,
        (Written::Output(_), Some(refused)) => Failure::new(exit::ERROR, format!("no installer takes it: {refused}")),
        (Written::Output(error), None) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Refused>()) {
            Some(Refused(why)) => Failure::new(exit::ERROR, format!("no installer takes it: {why}")),
            None => Failure::new(exit::ERROR, format!("the archive cannot be written: {error}")),
        },
    }
}

fn refusal(error: &UnpackError) -> Failure {
    Failure::new(exit::ERROR, format!("no installer takes it: {error}"))
}

fn append(archive: &mut Builder<impl Write>, tree: &Tree, entry: &Entry) -> Result<(), Written> {
    let path = tree.root.join(&entry.path);
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    match entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, &entry.path, io::empty()).map_err(Written::Output)
        }
        Kind::File { bytes, is_executable } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if is_executable { 0o755 } else { 0o644 });
            header.set_size(bytes);
            let file = File::open(&path).map_err(|error| Written::Source(failed(&path, &error)))?;
            let mut whole = Whole { file, left: bytes, changed: false };
            let appended = archive.append_data(&mut header, &entry.path, &mut whole);
            if whole.changed {
                let why = format!("{} changed while it was read; try again", shown(&path));
                return Err(Written::Source(Failure::new(exit::TRY_AGAIN, why)));
            }
            appended.map_err(Written::Output)
        }
    }
}

/// A file of which as many bytes are read as its header says.
struct Whole {
    file: File,
    left: u64,
    changed: bool,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = Read::by_ref(&mut self.file).take(self.left).read(buffer)?;
        self.left -= read as u64;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            self.changed = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

/// Writes the archive, and pushes it through the installer's reader.
struct Checked<W> {
    out: W,
    unpacker: Unpacker<Names>,
    refused: Option<UnpackError>,
}

/// The installer's refusal, on its way through the writers.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.unpacker.push(piece) {
            let why = error.to_string();
            self.refused = Some(error);
            return Err(io::Error::other(Refused(why)));
        }
        self.out.write_all(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file system that takes names for one that differ in their case alone, as those of macOS and Windows do.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn take(&mut self, path: &EntryPath) -> io::Result<()> {
        let folded = path.as_str().to_lowercase();
        match self.0.insert(folded, path.as_str().to_owned()) {
            None => Ok(()),
            Some(other) => Err(io::Error::new(io::ErrorKind::AlreadyExists, TakenBy(other))),
        }
    }
}

impl Sink for Names {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.take(path)
    }

    fn begin(&mut self, path: &EntryPath, _executable: bool) -> io::Result<()> {
        self.take(path)
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}
