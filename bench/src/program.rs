//! Programs that are agents, started and measured from outside.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use molecule_platform::Server;

use crate::receiving::{Workspace, platform, workspace};
use crate::{Outcome, meter};

/// The agent in Python.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/agent.py");

/// A program that is an agent, and says when it is registered.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    /// What the line has in it that says so.
    says: &'static str,
    /// The library of a program in Python.
    client: Option<&'static str>,
}

impl Program {
    /// The program of this project.
    #[must_use]
    pub fn molecule(path: &Path) -> Self {
        let arguments = ["run", "--echo", "--json"].map(str::to_owned).to_vec();
        Self { path: path.to_owned(), arguments, says: "\"event\":\"registered\"", client: None }
    }

    /// An agent in Python that uses this HTTP client.
    #[must_use]
    pub fn python(path: &Path, client: &'static str) -> Self {
        let arguments = [PEER, client, "run"].map(str::to_owned).to_vec();
        Self { path: path.to_owned(), arguments, says: "registered", client: Some(client) }
    }

    /// Its name and version, as it says.
    ///
    /// # Errors
    /// The error of starting it.
    pub fn name(&self) -> Outcome<String> {
        let mut command = Command::new(&self.path);
        match self.client {
            None => command.arg("--version"),
            Some(client) => {
                let script = format!(
                    "import {client}, sys; print('Python', sys.version.split()[0], 'with {client}', {client}.__version__)"
                );
                command.args(["-c", &script])
            }
        };
        let output = command.output().map_err(|error| format!("{}: {error}", self.path.display()))?;
        if !output.status.success() {
            return Err(format!("{}: {}", self.path.display(), String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it as the agent of a workspace, and waits until it is registered.
    fn start(&self, server: &Server, workspace: &Workspace, home: &Path) -> Outcome<Running> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env("PLATFORM_URL", server.url()).env("WORKSPACE_ID", workspace.id.as_str());
        command.env("MOLECULE_WORKSPACE_TOKEN", &workspace.token).env("MOLECULE_HOME", home);
        // The program tells of events on stderr, the peers on stdout.
        let (out, err) =
            if self.client.is_none() { (Stdio::null(), Stdio::piped()) } else { (Stdio::piped(), Stdio::null()) };
        let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut running = Running(child);
        let found = match (out, err) {
            (Some(out), _) => found(BufReader::new(out), self.says),
            (_, Some(err)) => found(BufReader::new(err), self.says),
            (None, None) => Err("it has no output".into()),
        };
        if let Err(error) = found {
            running.end()?;
            return Err(format!("{}: {error}", self.path.display()).into());
        }
        Ok(running)
    }
}

/// Reads until a line has this in it; the other lines are read and dropped as long as the process lives.
fn found(mut lines: impl BufRead + Send + 'static, says: &str) -> Outcome {
    let mut line = String::new();
    while !line.contains(says) {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err("it ended before it was registered".into());
        }
    }
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(())
}

/// A process, which ends with this value.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn end(&mut self) -> Outcome {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The times from the start of each program until it is registered, in rounds in which they take turns. Each start has a new
/// home, so that it stores its token; one start of each before these is not counted, since it finds the program on the disk.
///
/// # Errors
/// The errors of a program.
pub fn starts(programs: &[Program], count: usize) -> Outcome<Vec<Vec<Duration>>> {
    let server = platform()?;
    let workspace = workspace(&server)?;
    let mut times = vec![Vec::new(); programs.len()];
    for round in 0..=count {
        for (program, times) in programs.iter().zip(&mut times) {
            let home = Home::new(round);
            let started = Instant::now();
            let running = program.start(&server, &workspace, &home.0)?;
            let time = started.elapsed();
            drop(running);
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times)
}

/// The median, the least and the most of these.
#[must_use]
pub fn spread(times: Vec<Duration>) -> (Duration, Duration, Duration) {
    let (least, most) = (times.iter().min().copied(), times.iter().max().copied());
    (meter::median(times), least.unwrap_or_default(), most.unwrap_or_default())
}

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Pages that are in memory, with those of the program's file.
    pub resident: u64,
    /// Pages that it has written and shares with nobody.
    pub written: u64,
}

/// The memory of each program after so much time without a message. They run at the same time, each in a workspace of its own.
///
/// # Errors
/// The errors of a program, and those of systems without `/proc`.
pub fn idle(programs: &[Program], time: Duration) -> Outcome<Vec<Memory>> {
    let server = platform()?;
    let mut running = Vec::new();
    for (at, program) in programs.iter().enumerate() {
        let home = Home::new(at);
        running.push((program.start(&server, &workspace(&server)?, &home.0)?, home));
    }
    std::thread::sleep(time);
    running.iter().map(|(running, _)| memory(running.0.id())).collect()
}

fn memory(process: u32) -> Outcome<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kib = |name: &str| -> Outcome<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("the kernel tells no such memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { resident: kib("Rss:")?, written: kib("Private_Dirty:")? })
}

/// A directory for the files of an agent, which is removed with this value.
struct Home(PathBuf);

impl Home {
    fn new(number: usize) -> Self {
        let name = format!("molecule-bench-program-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&home);
        Self(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
