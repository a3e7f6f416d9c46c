//! Orphans: the first process of a container gets every process whose parent has ended, and has to wait for its end.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The processes that something else waits for.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program of one's own, which is no orphan.
pub(super) fn start<T>(spawn: impl FnOnce() -> io::Result<T>, id: impl FnOnce(&T) -> Option<u32>) -> io::Result<T> {
    // An end between the start and the note would look like that of an orphan.
    let mut own = own();
    let started = spawn()?;
    own.extend(id(&started));
    Ok(started)
}

/// Forgets a program that was waited for.
pub(super) fn ended(id: u32) {
    own().remove(&id);
}

/// Waits for orphans as long as the program runs, if they come to this process: it is the first of its container, or a
/// subreaper.
#[cfg(target_os = "linux")]
pub(super) fn reap() -> io::Result<()> {
    use rustix::process::{child_subreaper, getpid};
    use tokio::signal::unix::{SignalKind, signal};

    let is_subreaper = child_subreaper().is_ok_and(|found| found.is_some());
    if getpid().as_raw_pid() != 1 && !is_subreaper {
        return Ok(());
    }
    let mut ends = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while ends.recv().await.is_some() {
            linux::reap_orphans(&own());
        }
    });
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reap() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs;

    use rustix::process::{Pid, WaitOptions, waitpid};

    pub(super) fn reap_orphans(own: &BTreeSet<u32>) {
        let Ok(processes) = fs::read_dir("/proc") else { return };
        let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        for id in ids.filter(|id| !own.contains(id)) {
            let is_orphan = fs::read_to_string(format!("/proc/{id}/stat"))
                .is_ok_and(|stat| is_ended_child(&stat, std::process::id()));
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| is_orphan) {
                // It is there, and is ours alone to wait for.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Reads a process's `stat`: `id (name) state parent …`, where the name may hold anything.
    fn is_ended_child(stat: &str, of: u32) -> bool {
        let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
        let mut fields = rest.split(' ');
        fields.next() == Some("Z") && fields.next().and_then(|parent| parent.parse().ok()) == Some(of)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_ended_child_is_told_by_its_state_and_its_parent() {
            assert!(is_ended_child("7 (sleep) Z 5 7 7 0", 5));
            assert!(is_ended_child("7 (a) Z 1 (b) Z 5 7", 5), "the name is what stands before the last parenthesis");
            for stat in ["7 (sleep) S 5 7", "7 (sleep) Z 6 7", "7 (sleep", ""] {
                assert!(!is_ended_child(stat, 5), "{stat}");
            }
        }
    }
}
