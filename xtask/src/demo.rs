//! Runs an example as a newcomer would, without any setup, and checks its last line.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Failure, cargo, ci};

const LIMIT: Duration = Duration::from_secs(60);
const LAST_LINE: &str = "ended: paused";

/// Builds the example, so that [`LIMIT`] covers only the demo itself, then runs it and expects [`LAST_LINE`] and status
/// 0.
///
/// # Errors
///
/// One sentence with the command, if it does not build, takes too long, fails, or prints another last line.
pub(crate) fn run(root: &Path, example: &str) -> Result<(), Failure> {
    ci::command(root, &["build", "-q", "--example", example], &[])?;
    let mut command = cargo();
    command.args(["run", "-q", "--example", example]).current_dir(root);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(chooses_a_platform) {
            command.env_remove(name);
        }
    }
    told(&mut command, LIMIT).map_err(|failure| format!("`cargo run -q --example {example}` {failure}"))
}

/// Returns whether a variable would send the demo to a real platform, or change its pace.
fn chooses_a_platform(name: &str) -> bool {
    name.starts_with("MOLECULE_") || matches!(name, "PLATFORM_URL" | "WORKSPACE_ID" | "HEARTBEAT_SECS" | "STATE_SECS")
}

fn told(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not be started: {error}"))?;
    let output = reader(&mut child);
    let deadline = Instant::now() + limit;
    let status = match wait(&mut child, deadline) {
        Ok(Some(status)) => status,
        Ok(None) => return Err(format!("did not end within {} s and was killed", limit.as_secs())),
        Err(error) => return Err(format!("could not be waited for: {error}")),
    };
    // A process that the demo left behind may hold the pipe open, so reading ends at the demo's deadline as well.
    let grace = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
    let Ok(text) = output.recv_timeout(grace) else {
        return Err("ended, but something that it started still holds its output open".to_owned());
    };
    print!("{text}");
    ending(&text, status)
}

fn reader(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stdout) = stdout {
            // Text that was read before an error is judged as if it ended there.
            let _ = stdout.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The status of the child, or `None` once it was killed at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn ending(text: &str, status: ExitStatus) -> Result<(), Failure> {
    let last = text.lines().last().unwrap_or_default();
    if !status.success() {
        return Err(format!("ended with {status}; its last line is `{last}`"));
    }
    if last != LAST_LINE {
        return Err(format!("ended with the line `{last}` where `{LAST_LINE}` was due"));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<(), Failure> {
        told(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn only_the_right_ending_passes() {
        assert_eq!(shell("echo registered; echo ended: paused", LIMIT), Ok(()));
        let failure = shell("echo ended: paused; exit 3", LIMIT).unwrap_err();
        assert!(failure.contains("exit status: 3"), "{failure}");
        let failure = shell("echo ended: paused; echo more", LIMIT).unwrap_err();
        assert!(failure.contains("the line `more`"), "{failure}");
        let failure = shell("true", LIMIT).unwrap_err();
        assert!(failure.contains("the line ``"), "{failure}");
    }

    #[test]
    fn a_demo_that_hangs_is_killed() {
        let start = Instant::now();
        let failure = shell("echo ended: paused; exec sleep 30", Duration::ZERO).unwrap_err();
        assert!(failure.contains("was killed"), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_missing_example_is_a_failure() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let failure = run(here, "no-such-example").unwrap_err();
        assert!(failure.contains("cargo build -q --example no-such-example"), "{failure}");
    }

    #[test]
    fn the_demo_sees_no_platform_of_the_user() {
        assert!(chooses_a_platform("MOLECULE_HOME") && chooses_a_platform("PLATFORM_URL"));
        assert!(!chooses_a_platform("PATH"));
    }
}
