//! A program that handles messages: how it is started, and how it is ended with everything that it has started.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molecule_async::Secrets;
use molecule_async::core::proto::printable;
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, Command};
#[cfg(unix)]
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::lines::bounded::{Lines, Piece};
use super::reaper;
use crate::exit::{self, Failure};
use crate::output::Output;

/// How long a program may take to end by itself once its stdin is closed, and then once it was asked to by SIGTERM.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// The most bytes of a line on stderr; a longer one is passed on in pieces.
const MAX_STDERR_LINE: usize = 8 * 1024;

/// The bytes of lines that are passed on together.
const TOGETHER: usize = 32 * 1024;

/// The variables that hold the agent's own credentials. No child gets them.
const CREDENTIALS: [&str; 6] = [
    "MOLECULE_WORKSPACE_TOKEN",
    "MOLECULE_WORKSPACE_TOKEN_FILE",
    "MOLECULE_WORKSPACE_TOKENS",
    "MOLECULE_WORKSPACES",
    "MOLECULE_WORKSPACES_JSON",
    "MOLECULE_ADMIN_TOKEN",
];

/// The variables of a service manager, which speak to this process alone.
const SERVICE: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The names of the variables that no child gets.
pub(crate) fn kept_from_children() -> impl Iterator<Item = &'static str> {
    CREDENTIALS.into_iter().chain(SERVICE)
}

/// Checks that a secret can be a variable.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), Failure> {
    let is_good = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    let shown = || printable::line(name);
    is_good
        .then_some(())
        .ok_or_else(|| Failure::new(exit::ERROR, format!("the secret {} cannot be a variable", shown())))
}

/// Why a program could not be started.
pub(crate) fn not_started(name: &str, error: &io::Error) -> Failure {
    Failure::new(exit::ERROR, format!("{name} cannot be started: {error}"))
}

/// Variables of a program whose values are secret.
type Variables = Vec<(String, Zeroizing<String>)>;

/// What is started. Clones have the same secrets.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) workspace: String,
    line: Vec<String>,
    secrets: Arc<Mutex<Variables>>,
    pub(super) output: Output,
}

impl Program {
    pub(super) fn new(workspace: &str, line: &[String], output: &Output) -> Self {
        Self { workspace: workspace.to_owned(), line: line.to_vec(), secrets: Arc::default(), output: output.clone() }
    }

    /// Gives these secrets, and no others, to the program as variables, from its next start on.
    pub(super) fn give(&self, secrets: &Secrets) -> Result<(), Failure> {
        secrets.iter().try_for_each(|(name, value)| check_variable(name, value))?;
        let given = secrets.iter().map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        *self.secrets() = given.collect();
        Ok(())
    }

    fn secrets(&self) -> MutexGuard<'_, Variables> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &str {
        &self.line[0]
    }

    /// Starts it, in a process group of its own, with pipes for all three streams. What it writes to stderr is passed on
    /// line by line.
    pub(super) fn start(&self, vars: &[(&str, &str)]) -> io::Result<Started> {
        let mut command = Command::new(&self.line[0]);
        command.args(&self.line[1..]);
        kept_from_children().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(self.secrets().iter().map(|(name, value)| (name, value.as_str())));
        command.envs(vars.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = reaper::start(|| command.spawn(), Child::id)?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(pass_on(stderr, self.workspace.clone(), self.output.clone()));
        }
        let id = child.id();
        #[cfg(unix)]
        let exit = id.map(|id| tokio::task::spawn_blocking(move || group::wait_for_end(id)));
        Ok(Started {
            child,
            id,
            #[cfg(unix)]
            exit,
        })
    }
}

/// A program that was started.
pub(super) struct Started {
    pub(super) child: Child,
    id: Option<u32>,
    /// Returns once the program has ended. It is not waited for by then, so that its number is still its own.
    #[cfg(unix)]
    exit: Option<JoinHandle<io::Result<()>>>,
}

impl Started {
    /// Waits until the program ends, and then ends what it has left running in its group. The future may be dropped, and
    /// another one goes on.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        #[cfg(unix)]
        if let Some(exit) = &mut self.exit {
            let waited = exit.await;
            self.exit = None;
            if let (Ok(Ok(())), Some(id)) = (waited, self.id) {
                group::signal(id, group::KILL);
            }
        }
        let status = self.child.wait().await;
        self.id.iter().copied().for_each(reaper::ended);
        status
    }

    /// Sends SIGHUP to the program, unless it was waited for already.
    pub(super) fn hang_up(&self) {
        #[cfg(unix)]
        if let (Some(id), Some(_)) = (self.id, &self.exit) {
            group::hang_up(id);
        }
    }

    /// Ends the program, whose stdin is closed: it may end by itself, is asked to, and is killed at last.
    pub(super) async fn end(&mut self) {
        if timeout(GRACE, self.ended()).await.is_ok() {
            return;
        }
        #[cfg(unix)]
        if let (Some(id), Some(_)) = (self.id, &self.exit) {
            group::signal(id, group::TERM);
            if timeout(GRACE, self.ended()).await.is_ok() {
                return;
            }
        }
        self.kill().await;
    }

    /// Kills the program and its group, and waits for its end.
    pub(super) async fn kill(&mut self) {
        self.signal_kill();
        // A process that nobody can kill, in the middle of a disk's work, holds nothing up.
        drop(timeout(GRACE, self.ended()).await);
    }

    /// Kills the program and its group, unless it was waited for already.
    pub(super) fn signal_kill(&mut self) {
        #[cfg(unix)]
        if let (Some(id), Some(_)) = (self.id, &self.exit) {
            group::signal(id, group::KILL);
        }
        #[cfg(not(unix))]
        drop(self.child.start_kill());
    }
}

#[cfg(unix)]
mod group {
    use std::io;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

    pub(super) const TERM: Signal = Signal::TERM;
    pub(super) const KILL: Signal = Signal::KILL;

    fn pid(id: u32) -> Option<Pid> {
        Pid::from_raw(i32::try_from(id).ok()?)
    }

    /// Waits until a child has ended, and leaves it to be waited for.
    pub(super) fn wait_for_end(id: u32) -> io::Result<()> {
        let pid = pid(id).ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends SIGHUP to the program alone. One that is gone needs none.
    pub(super) fn hang_up(id: u32) {
        if let Some(pid) = pid(id) {
            let _ = kill_process(pid, Signal::HUP);
        }
    }

    /// Signals a group. One that is gone needs none.
    pub(super) fn signal(id: u32, signal: Signal) {
        if let Some(pid) = pid(id) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Passes on what a program writes to stderr, with the workspace's name and without control characters. Lines that are there
/// already go together.
async fn pass_on(stderr: impl AsyncRead + Unpin, workspace: String, output: Output) {
    let mut lines = Lines::new(BufReader::new(stderr), MAX_STDERR_LINE);
    let (tag, mut waiting) = (output.tag(&workspace), String::new());
    loop {
        let next = tokio::select! {
            biased;
            next = lines.next() => Some(next),
            () = std::future::ready(()), if !waiting.is_empty() => None,
        };
        if next.is_none() || waiting.len() >= TOGETHER {
            output.of_program(std::mem::take(&mut waiting)).await;
        }
        match next {
            None => {}
            Some(Ok(Some(Piece::Line(line) | Piece::TooLong(line)))) => {
                for part in [&*tag, " ", &printable::line(&String::from_utf8_lossy(&line)), "\n"] {
                    waiting.push_str(part);
                }
            }
            Some(Ok(None) | Err(_)) => break,
        }
    }
    if !waiting.is_empty() {
        output.of_program(waiting).await;
    }
}
