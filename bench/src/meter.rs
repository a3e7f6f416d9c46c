//! Measures wall time, processor time, memory and descriptors.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// The cost of a piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wall time.
    pub wall: Duration,
    /// Processor time of this process, in all its threads.
    pub cpu: Duration,
}

impl Cost {
    /// The cost of one call out of this number of calls.
    #[must_use]
    pub fn each(self, count: u32) -> Self {
        Self { wall: self.wall / count.max(1), cpu: self.cpu / count.max(1) }
    }
}

impl Cost {
    /// Reads the text that `Display` wrote.
    ///
    /// # Errors
    /// If it is any other text.
    pub fn parse(text: &str) -> Outcome<Self> {
        let (wall, cpu) = text.split_once(' ').ok_or("no two numbers")?;
        let nanos = |text: &str| Outcome::Ok(Duration::from_nanos(text.parse()?));
        Ok(Self { wall: nanos(wall)?, cpu: nanos(cpu)? })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.wall.as_nanos(), self.cpu.as_nanos())
    }
}

/// Runs a closure, and returns its cost and its result.
pub fn cost<T>(act: impl FnOnce() -> T) -> (Cost, T) {
    let (started, cpu) = (Instant::now(), processor_time());
    let result = act();
    (Cost { wall: started.elapsed(), cpu: processor_time().saturating_sub(cpu) }, result)
}

/// Processor time of this process so far.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The median of some durations.
pub fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The value below which this part of the values lies, from 0 to 1.
pub fn quantile(mut values: Vec<Duration>, part: f64) -> Duration {
    values.sort();
    let at = (values.len() as f64 * part) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The median of these costs, separately for wall time and processor time.
pub fn median_cost(costs: &[Cost]) -> Cost {
    let of = |time: fn(&Cost) -> Duration| median(costs.iter().map(time).collect());
    Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
}

/// The ratio of their wall time to ours: the median of the ratios of all rounds. Each round is compared with its
/// neighbour, since the speed of a shared machine changes.
pub fn median_ratio(theirs: &[Cost], ours: &[Cost]) -> f64 {
    let ratio = |(theirs, ours): (&Cost, &Cost)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64();
    let mut ratios: Vec<f64> = theirs.iter().zip(ours).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

/// The number of open descriptors of this process, on Linux.
///
/// # Errors
/// On other systems, or if `/proc` is not mounted.
pub fn descriptors() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// The resident memory of this process in KiB, on Linux.
///
/// # Errors
/// On other systems, or if `/proc` is not mounted.
pub fn resident_kib() -> std::io::Result<u64> {
    status_kib("VmRSS:")
}

/// The peak of this process's resident memory in KiB, on Linux.
///
/// # Errors
/// On other systems, or if `/proc` is not mounted.
pub fn peak_kib() -> std::io::Result<u64> {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(std::io::Error::other)
}
