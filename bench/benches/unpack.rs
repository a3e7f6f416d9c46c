//! Compares unpacking into a sink that discards everything with bare decompression of the same archive, without and
//! with digests of the output.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench unpack
//! ```
//!
//! The figures are processor time, in rounds that take turns. Nothing here passes or fails: the figures are for people.

#![allow(clippy::print_stdout)]

use std::fs;
use std::io::{self, Read};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use molecule_bench::Outcome;
use molecule_bench::meter::{cost, median};
use molecule_bench::plugins::Archive;
use molecule_plugin::unpack::{EntryPath, Sink, UnpackPolicy, Unpacker};
use sha2::{Digest as _, Sha256};

const ROUNDS: usize = 21;

/// The most bytes that a driver reads from its socket at once.
const PIECE: usize = 64 << 10;

/// The most bytes of one step of decompression.
const INFLATED: usize = 128 << 10;

fn main() -> Outcome {
    println!("| archive | unpacked | bare inflate | ratio | inflate and SHA-256 | ratio |\n|---|---|---|---|---|---|");
    for (what, files, each) in [("2,000 files of 1 KiB", 2_000, 1 << 10), ("20 files of 4 MiB", 20, 4 << 20)] {
        let archive = Archive::make(what, &std::env::temp_dir(), files, each)?;
        let bytes = fs::read(&archive.path)?;
        fs::remove_file(&archive.path)?;
        row(what, &bytes)?;
    }
    Ok(())
}

fn row(what: &str, archive: &[u8]) -> Outcome {
    let [mut ours, mut bare, mut hashed] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let (spent, files) = cost(|| unpack(archive));
        files?;
        ours.push(spent.cpu);
        let (spent, bytes) = cost(|| inflate(archive, |_| {}));
        bytes?;
        bare.push(spent.cpu);
        let mut hash = Sha256::new();
        let (spent, bytes) = cost(|| inflate(archive, |piece| hash.update(piece)));
        bytes?;
        hashed.push(spent.cpu);
    }
    let [ours, bare, hashed] = [ours, bare, hashed].map(|times| millis(median(times)));
    let (to_bare, to_hashed) = (ours / bare, ours / hashed);
    println!("| {what} | {ours:.2} ms | {bare:.2} ms | {to_bare:.2} | {hashed:.2} ms | {to_hashed:.2} |");
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A sink that discards everything.
struct Nothing;

impl Sink for Nothing {
    fn directory(&mut self, _: &EntryPath) -> io::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: &EntryPath, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        std::hint::black_box(piece);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unpack(archive: &[u8]) -> Outcome<u64> {
    let mut unpacker = Unpacker::new(Nothing, &UnpackPolicy::default());
    for piece in archive.chunks(PIECE) {
        unpacker.push(piece)?;
    }
    let (unpacked, Nothing) = unpacker.finish().map_err(|(error, Nothing)| error)?;
    Ok(unpacked.files)
}

fn inflate(archive: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut inflate = MultiGzDecoder::new(archive);
    let mut buffer = vec![0; INFLATED];
    loop {
        let length = inflate.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        each(std::hint::black_box(&buffer[..length]));
    }
}
