//! The archive of a plugin: gzip around tar, written as Go's standard library does (contract section 15; April 14).

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use molecule_proto::UnixTime;
use tar::{Builder, EntryType, Header};

use super::tree::{Entry, PluginTree};

/// The user and the group in the archive, under which the server runs.
const OWNER: &str = "root";

/// Packs a plugin. Every entry has the time of the download, so that two downloads differ in bytes.
pub(crate) fn pack(tree: &PluginTree, now: UnixTime) -> io::Result<Bytes> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::default());
    let mut archive = Builder::new(gzip);
    // A calendar before 1970 reads as 1970.
    let mtime = u64::try_from(now.as_secs()).unwrap_or(0);
    for (path, entry) in tree.entries() {
        match entry {
            Entry::Directory { mode } => append(&mut archive, &path, EntryType::Directory, *mode, mtime, &[])?,
            Entry::File { mode, bytes } => append(&mut archive, &path, EntryType::Regular, *mode, mtime, bytes)?,
            Entry::Link { .. } => {}
        }
    }
    Ok(archive.into_inner()?.finish()?.into())
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    kind: EntryType,
    mode: u32,
    mtime: u64,
    content: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    header.set_mtime(mtime);
    header.set_username(OWNER)?;
    header.set_groupname(OWNER)?;
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    match split(path) {
        Some((prefix, name)) => {
            write_field(&mut header, Field::Prefix, prefix);
            write_field(&mut header, Field::Name, name);
        }
        None => {
            append_path_record(archive, path)?;
            write_field(&mut header, Field::Name, &in_ascii(path));
        }
    }
    write_checksum(&mut header);
    archive.append(&header, content)
}

/// Splits a path into prefix and name, with the longest possible prefix; `None` if they cannot hold it.
fn split(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= Field::Name.length() {
        return Some(("", path));
    }
    let most = (Field::Prefix.length() + 1).min(path.len());
    let slash = path[..most].rfind('/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && name.len() <= Field::Name.length()).then_some((prefix, name))
}

/// Writes the path of the next entry as a pax header with this record only.
fn append_path_record(archive: &mut Builder<impl Write>, path: &str) -> io::Result<()> {
    let record = record("path", path);
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
    let own_name = match directory {
        "" => format!("PaxHeaders.0/{name}"),
        _ => format!("{directory}/PaxHeaders.0/{name}"),
    };
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(record.len() as u64);
    header.set_mtime(0);
    write_field(&mut header, Field::Name, &in_ascii(&own_name));
    write_checksum(&mut header);
    archive.append(&header, record.as_bytes())
}

/// A record of a pax header. Its length includes its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// The ASCII characters of a path.
fn in_ascii(path: &str) -> String {
    path.chars().filter(char::is_ascii).collect()
}

#[derive(Clone, Copy)]
enum Field {
    Name,
    Prefix,
}

impl Field {
    fn length(self) -> usize {
        match self {
            Self::Name => 100,
            Self::Prefix => 155,
        }
    }
}

/// Writes a text, cut to the length of the field and without slashes at the end.
fn write_field(header: &mut Header, field: Field, text: &str) {
    let text = &text.as_bytes()[..text.len().min(field.length())];
    let length = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let Some(ustar) = header.as_ustar_mut() else { return };
    let bytes = match field {
        Field::Name => ustar.name.as_mut_slice(),
        Field::Prefix => ustar.prefix.as_mut_slice(),
    };
    bytes[..length].copy_from_slice(&text[..length]);
}

/// Writes the checksum as six digits, a NUL and a space. The `tar` crate would write seven digits and a NUL.
fn write_checksum(header: &mut Header) {
    header.as_old_mut().cksum = *b"        ";
    let sum: u32 = header.as_bytes().iter().map(|byte| u32::from(*byte)).sum();
    let digits = format!("{sum:06o}\0 ");
    header.as_old_mut().cksum.copy_from_slice(digits.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_so_that_the_prefix_is_long() {
        let long = |length: usize| "x".repeat(length);
        assert_eq!(split("a/b"), Some(("", "a/b")));
        assert_eq!(split(&long(100)), Some(("", long(100).as_str())));
        assert_eq!(split(&long(101)), None);
        assert_eq!(split("ż"), None);
        let path = format!("a/{}/{}", long(80), long(30));
        assert_eq!(split(&path), Some((&path[..82], &path[83..])));
        let path = format!("{}/{}", long(155), long(100));
        assert_eq!(split(&path), Some((&path[..155], &path[156..])));
        assert_eq!(split(&format!("{}/{}", long(156), long(2))), None);
        assert_eq!(split(&format!("a/{}", long(101))), None);
        assert_eq!(split(&format!("/{}", long(100))), None);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(record("path", "a"), "9 path=a\n");
        assert_eq!(record("path", &"a".repeat(90)), format!("99 path={}\n", "a".repeat(90)));
        assert_eq!(record("path", &"a".repeat(91)), format!("101 path={}\n", "a".repeat(91)));
        assert_eq!(record("path", "ż"), "11 path=ż\n");
    }
}
