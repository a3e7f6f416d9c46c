//! Compares installing a plugin with unpacking it by `tar` and `bsdtar`, on the same file system, in rounds that take
//! turns.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench install -- [directory]
//! ```
//!
//! Each round unpacks into a new directory. All directories are removed at the end, since a file system makes new files
//! slowly after it removed many. Nothing here passes or fails: the figures are for people.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use molecule_bench::Outcome;
use molecule_bench::child::Role;
use molecule_bench::meter::{median, peak_kib};
use molecule_bench::plugins::{self, Archive, Floor};
use molecule_core::plugin::Durability;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["memory", archive, home] => memory_role(archive, home),
        // Runs one install, for a profiler.
        ["once", archive, home] => plugins::ours(&Archive::at(archive.into()), Path::new(home), Durability::None),
        ["floor", archive, home] => Ok(plugins::floor(&Archive::at(archive.into()), Path::new(home), Floor::Bare)?),
        [] => figures(&std::env::temp_dir()),
        [directory] => figures(Path::new(directory)),
        _ => Err("usage: install [directory]".into()),
    }
}

fn figures(directory: &Path) -> Outcome {
    let place = Place::new(directory)?;
    println!("| what | figure | beside | ratio | goal |\n|---|---|---|---|---|");
    let small = Archive::make("2,000 files of 1 KiB", &place.0, 2_000, 1 << 10)?;
    let large = Archive::make("20 files of 4 MiB", &place.0, 20, 4 << 20)?;
    beside(&place, &small, 15, "at most 1.0")?;
    beside(&place, &large, 9, "at most 0.5")?;
    for archive in [&small, &large] {
        memory(&place, archive)?;
    }
    Ok(())
}

/// A directory with new directories in it. Dropping it removes them all.
struct Place(PathBuf);

impl Place {
    fn new(directory: &Path) -> std::io::Result<Self> {
        let place = directory.join(format!("molecule-bench-{}", std::process::id()));
        fs::create_dir(&place)?;
        Ok(Self(place))
    }

    fn fresh(&self) -> std::io::Result<PathBuf> {
        let count = fs::read_dir(&self.0)?.count();
        let home = self.0.join(format!("fresh-{count}"));
        fs::create_dir(&home)?;
        Ok(home)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Measures all ways to unpack one archive, in turn.
fn beside(place: &Place, archive: &Archive, rounds: usize, goal: &str) -> Outcome {
    let (mut ours, mut synced, mut floor, mut hashed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let programs = ["tar", "bsdtar"];
    let mut theirs = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        ours.push(timed(|| plugins::ours(archive, &place.fresh()?, Durability::None))?.0);
        for (program, times) in programs.iter().zip(&mut theirs) {
            let (time, found) = timed(|| plugins::program(archive, &place.fresh()?, program))?;
            times.extend(found.then_some(time));
        }
        floor.push(timed(|| Ok(plugins::floor(archive, &place.fresh()?, Floor::Bare)?))?.0);
        hashed.push(timed(|| Ok(plugins::floor(archive, &place.fresh()?, Floor::Hashed)?))?.0);
        rustix::fs::sync();
        synced.push(timed(|| plugins::ours(archive, &place.fresh()?, Durability::Sync))?.0);
        rustix::fs::sync();
    }
    let ours = median(ours);
    for (program, times) in programs.iter().zip(theirs) {
        if times.is_empty() {
            println!("| install, {} | {:.1} ms | no {program} here | | |", archive.what, millis(ours));
        } else {
            let goal = if *program == "tar" { goal } else { "" };
            row(archive, "install", ours, &format!("{program} -xzf"), median(times), goal);
        }
    }
    row(archive, "install", ours, "bare inflate and bare writes", median(floor), "at most 1.5");
    row(archive, "install", ours, "bare inflate, one SHA-256 and bare writes", median(hashed), "");
    row(archive, "install with Durability::Sync", median(synced), "install", ours, "");
    Ok(())
}

fn timed<T>(act: impl FnOnce() -> Outcome<T>) -> Outcome<(Duration, T)> {
    let started = Instant::now();
    let done = act()?;
    Ok((started.elapsed(), done))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn row(archive: &Archive, what: &str, ours: Duration, beside: &str, theirs: Duration, goal: &str) {
    let ratio = millis(ours) / millis(theirs);
    let (what, ours, theirs) = (format!("{what}, {}", archive.what), millis(ours), millis(theirs));
    println!("| {what} | {ours:.1} ms | {beside} {theirs:.1} ms | {ratio:.2} | {goal} |");
}

/// Measures by how much an install raises the peak memory of a process that does nothing else.
fn memory(place: &Place, archive: &Archive) -> Outcome {
    let home = place.fresh()?;
    let (path, home) = (archive.path.display().to_string(), home.display().to_string());
    let mut child = Role::start(&["memory", &path, &home])?;
    let grown: u64 = child.line()?.parse()?;
    println!(
        "| peak memory of an install, {} | {:.1} MiB above idle | | | at most 4 |",
        archive.what,
        grown as f64 / 1024.0
    );
    Ok(())
}

fn memory_role(archive: &str, home: &str) -> Outcome {
    let before = peak_kib()?;
    plugins::ours(&Archive::at(archive.into()), Path::new(home), Durability::None)?;
    println!("{}", peak_kib()? - before);
    Ok(())
}
