//! Plugins to install, and three ways to unpack them: ours, the system's programs, and the least work that any unpacker
//! must do.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::MultiGzDecoder;
use molecule_core::effect::LockId;
use molecule_core::effect::plugin::PluginOp;
use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;
use molecule_core::unpack::UnpackPolicy;
use molecule_host::{Cancel, ChosenBy, Plugins};
use sha2::{Digest as _, Sha256};

use crate::Outcome;

/// The most bytes that a driver reads from its socket at once.
const PIECE: usize = 64 * 1024;

/// The most bytes of one step of decompression.
const INFLATED: usize = 128 * 1024;

/// A plugin as an archive on the disk.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its description, for people.
    pub what: &'static str,
    /// Its path.
    pub path: PathBuf,
    files: usize,
    each: usize,
}

impl Archive {
    /// Makes an archive with `files` files of `each` bytes of text in twenty directories, in the order in which the
    /// platform packs.
    ///
    /// # Errors The errors of the disk.
    pub fn make(what: &'static str, directory: &Path, files: usize, each: usize) -> io::Result<Self> {
        let path = directory.join(format!("{files}x{each}.tar.gz"));
        let gzip = flate2::write::GzEncoder::new(File::create(&path)?, flate2::Compression::default());
        let mut tar = tar::Builder::new(gzip);
        let mut words = Words(0x9e37_79b9_7f4a_7c15);
        let mut append = |path: &str, kind: tar::EntryType, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content)
        };
        append("plugin.yaml", tar::EntryType::Regular, b"name: bench\nversion: 1.0.0\n")?;
        for directory in 0..DIRECTORIES.min(files) {
            append(&format!("skills-{directory}"), tar::EntryType::Directory, b"")?;
            for file in (directory..files).step_by(DIRECTORIES) {
                append(&name(file), tar::EntryType::Regular, &words.text(each))?;
            }
        }
        tar.into_inner()?.finish()?.sync_all()?;
        Ok(Self { what, path, files, each })
    }

    /// The archive that another process made at this path. The file's name says how many files it has, and their size.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".tar.gz"));
        let sizes = name.and_then(|name| name.split_once('x'));
        let (files, each) =
            sizes.map_or((0, 0), |(files, each)| (files.parse().unwrap_or(0), each.parse().unwrap_or(0)));
        Self { what: "", path, files, each }
    }
}

const DIRECTORIES: usize = 20;

fn name(file: usize) -> String {
    format!("skills-{}/{file}.md", file % DIRECTORIES)
}

/// A generator of meaningless words, which compress like prose.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn text(&mut self, length: usize) -> Vec<u8> {
        const SYLLABLES: [&str; 16] =
            ["al", "ber", "con", "de", "er", "for", "ing", "ka", "lo", "men", "no", "per", "re", "sto", "ti", "un"];
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            // Some words are far more frequent than others.
            let word = match self.next() % 3 {
                0 => self.next() % 64,
                _ => self.next() % 4096,
            };
            for place in 0..=(word % 3) {
                let syllable = (word >> (4 * place)) % 16;
                text.extend_from_slice(SYLLABLES[usize::try_from(syllable).unwrap_or(0)].as_bytes());
            }
            text.push(if self.next().is_multiple_of(12) { b'\n' } else { b' ' });
        }
        text.truncate(length);
        text
    }
}

/// Installs the plugin below `home` as an agent does, without the lock and the script: sweep, stage, unpack, swap,
/// receipt, sweep.
///
/// # Errors A refusal, or an error of the disk.
pub fn ours(archive: &Archive, home: &Path, durability: Durability) -> Outcome {
    let plugins = Plugins::new(home.join("plugins"), ChosenBy::PluginsDir);
    let name: PluginName = "bench".parse()?;
    let act = |op| plugins.perform(op, &Cancel::new(), |_| LockId(0));
    act(PluginOp::Sweep(name.clone()))?;
    let told = |fault: molecule_core::effect::Fault| fault.source.unwrap_or_else(|| "no reason".into());
    let mut unpacking = plugins.stage(&name, &UnpackPolicy::default()).map_err(told)?;
    let mut file = File::open(&archive.path)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        unpacking.push(&piece[..length]).map_err(told)?;
    }
    let (stage, _) = unpacking.finish().map_err(told)?;
    act(PluginOp::Commit(stage, durability))?;
    act(PluginOp::WriteReceipt(name.clone(), b"{}".to_vec(), durability))?;
    act(PluginOp::Sweep(name))?;
    Ok(())
}

/// Unpacks the archive in `home` with a program; returns `false` if there is no such program.
///
/// # Errors
/// The errors of the program.
pub fn program(archive: &Archive, home: &Path, program: &str) -> Outcome<bool> {
    let status = Command::new(program).arg("-xzf").arg(&archive.path).current_dir(home).stdin(Stdio::null()).status();
    match status {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
        Ok(status) if status.success() => Ok(true),
        Ok(status) => Err(format!("{program} ended with {status}").into()),
    }
}

/// The work of the floor besides decompression and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// Nothing.
    Bare,
    /// The SHA-256 of all bytes, which each verification of digests needs.
    Hashed,
}

/// The least work of any unpacker: it decompresses the archive and discards the output, and writes files of the same
/// sizes from one buffer.
///
/// # Errors The errors of the disk.
pub fn floor(archive: &Archive, home: &Path, floor: Floor) -> io::Result<()> {
    let mut inflate = MultiGzDecoder::new(File::open(&archive.path)?);
    let mut buffer = vec![0; INFLATED];
    let mut hash = Sha256::new();
    loop {
        let length = inflate.read(&mut buffer)?;
        match floor {
            _ if length == 0 => break,
            Floor::Bare => {}
            Floor::Hashed => hash.update(&buffer[..length]),
        }
    }
    std::hint::black_box(hash.finalize());
    for directory in 0..DIRECTORIES.min(archive.files) {
        fs::create_dir(home.join(format!("skills-{directory}")))?;
    }
    for number in 0..archive.files {
        let mut file = File::create_new(home.join(name(number)))?;
        let mut left = archive.each;
        while left > 0 {
            let length = left.min(INFLATED);
            file.write_all(&buffer[..length])?;
            left -= length;
        }
    }
    Ok(())
}
