//! Bare appends to a file, for comparison with the journal.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Appends the records of `gathered` messages at a time, of `bytes` each, for this long, and returns the number of
/// messages a second. With `sync`, each append is on the disk before the next one begins.
///
/// # Errors
/// The errors of the file.
pub fn rate(directory: &Path, bytes: usize, gathered: usize, sync: bool, time: Duration) -> Outcome<f64> {
    let path = directory.join("bare");
    let mut file = File::options().create_new(true).append(true).open(&path)?;
    let content = vec![b'x'; bytes * gathered];
    let (begun, mut messages) = (Instant::now(), 0);
    while begun.elapsed() < time {
        file.write_all(&content)?;
        if sync {
            file.sync_data()?;
        }
        messages += gathered;
    }
    let rate = messages as f64 / begun.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}
