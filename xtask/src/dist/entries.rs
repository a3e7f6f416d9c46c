//! Archives whose bytes depend on their content alone: sorted names, owner 0, and one time for all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use crate::Failure;

/// The time that stands in archives, in seconds since 1970: `SOURCE_DATE_EPOCH`, or that of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u64);

impl Epoch {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
            let seconds =
                text.trim().parse().map_err(|_| format!("SOURCE_DATE_EPOCH is no number of seconds: {text}"))?;
            return Ok(Self(seconds));
        }
        let directory = root.to_str().ok_or("the directory of the project is no Unicode")?;
        let said = super::build::says("git", &["-C", directory, "log", "-1", "--format=%ct"]);
        let said = said.map_err(|failure| format!("no time for the archives; set SOURCE_DATE_EPOCH ({failure})"))?;
        said.trim().parse().map(Self).map_err(|_| format!("git gave no time of the commit: {said}"))
    }

    /// As RFC 3339 writes it, in UTC.
    pub(super) fn rfc3339(self) -> String {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        // Years of 365.2425 days that begin in March, as the Gregorian calendar repeats every 400 years.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = 400 * era + year + u64::from(month <= 2);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    File(Vec<u8>),
    Directory,
    /// A symbolic link, and where it points.
    Link(String),
}

/// Files, directories and links, by their paths with `/` between names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entries(pub(super) BTreeMap<String, (u32, Content)>);

impl Entries {
    pub(super) fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.0.insert(path.to_owned(), (mode, Content::File(content)));
    }

    pub(super) fn directory(&mut self, path: &str, mode: u32) {
        self.0.insert(path.to_owned(), (mode, Content::Directory));
    }

    pub(super) fn link(&mut self, path: &str, to: &str) {
        self.0.insert(path.to_owned(), (0o777, Content::Link(to.to_owned())));
    }

    /// Takes what others have as well.
    pub(super) fn add(&mut self, others: &Self) {
        self.0.extend(others.0.clone());
    }

    /// All of it in one more directory.
    pub(super) fn below(self, directory: &str) -> Self {
        Self(self.0.into_iter().map(|(path, entry)| (format!("{directory}/{path}"), entry)).collect())
    }

    /// The files alone.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().filter_map(|(path, (_, content))| match content {
            Content::File(bytes) => Some((&**path, &**bytes)),
            Content::Directory | Content::Link(_) => None,
        })
    }

    /// Adds the directories in which entries stand and that are not there.
    pub(super) fn with_parents(mut self) -> Self {
        let mut parents = BTreeSet::new();
        for path in self.0.keys() {
            parents.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        for parent in parents {
            self.0.entry(parent).or_insert((0o755, Content::Directory));
        }
        self
    }

    pub(super) fn tar(&self, prefix: &str, epoch: Epoch) -> Result<Vec<u8>, Failure> {
        self.try_tar(prefix, epoch).map_err(|error| format!("dist: an archive cannot be made: {error}"))
    }

    fn try_tar(&self, prefix: &str, epoch: Epoch) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, (mode, content)) in &self.0 {
            let mut header = tar::Header::new_ustar();
            header.set_mode(*mode);
            header.set_mtime(epoch.0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("root")?;
            header.set_groupname("root")?;
            let (kind, bytes, end) = match content {
                Content::File(bytes) => (tar::EntryType::Regular, &**bytes, ""),
                Content::Directory => (tar::EntryType::Directory, &[][..], "/"),
                Content::Link(_) => (tar::EntryType::Symlink, &[][..], ""),
            };
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            if let Content::Link(to) = content {
                header.set_link_name(to)?;
            }
            // The methods that take a path would leave out the `./` of a Debian package.
            let path = format!("{prefix}{path}{end}");
            let name = header.as_old_mut().name.get_mut(..path.len());
            let name = name.ok_or_else(|| io::Error::other(format!("{path} is longer than 100 bytes")))?;
            name.copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive.append(&header, bytes)?;
        }
        archive.into_inner()
    }

    /// A compressed archive, with the directories of all entries.
    pub(super) fn tar_gz(self, epoch: Epoch) -> Result<Vec<u8>, Failure> {
        gz(&self.with_parents().tar("", epoch)?)
    }
}

/// Compresses without a name and a time, which gzip would keep.
pub(super) fn gz(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut compressed = GzBuilder::new().operating_system(255).write(Vec::new(), Compression::best());
    let done = compressed.write_all(bytes).and_then(|()| compressed.finish());
    done.map_err(|error| format!("dist: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn an_archive_depends_on_its_content_alone() {
        let mut one = Entries::default();
        one.file("usr/bin/program", 0o755, vec![1; 700]);
        one.link("usr/bin/other", "program");
        one.directory("etc/empty", 0o700);
        let mut other = Entries::default();
        other.directory("etc/empty", 0o700);
        other.link("usr/bin/other", "program");
        other.file("usr/bin/program", 0o755, vec![1; 700]);
        let epoch = Epoch(1_796_062_325);
        let packed = one.tar_gz(epoch).unwrap();
        assert_eq!(packed, other.tar_gz(epoch).unwrap());
        // The time in gzip's own head is 0.
        assert_eq!(packed[4..8], [0; 4]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*packed));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, epoch.0));
            assert_eq!(header.username().unwrap(), Some("root"));
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            (path, header.mode().unwrap(), content.len())
        });
        let expected = [
            ("etc/", 0o755, 0),
            ("etc/empty/", 0o700, 0),
            ("usr/", 0o755, 0),
            ("usr/bin/", 0o755, 0),
            ("usr/bin/other", 0o777, 0),
            ("usr/bin/program", 0o755, 700),
        ];
        assert_eq!(entries.collect::<Vec<_>>(), expected.map(|(path, mode, size)| (path.to_owned(), mode, size)));
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        let mut entries = Entries::default();
        entries.file(&"a".repeat(100), 0o644, b"x".to_vec());
        assert!(entries.tar("", Epoch(0)).is_ok());
        assert!(entries.tar("./", Epoch(0)).unwrap_err().contains("is longer than 100 bytes"));
    }

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Epoch(seconds).rfc3339(), date);
        }
    }
}
