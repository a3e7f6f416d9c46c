//! A child process that runs this program in another role: a server, or agents that are measured separately.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A child process that ends when this value is dropped.
#[derive(Debug)]
pub struct Role {
    child: Child,
    stdin: Option<ChildStdin>,
    out: BufReader<std::process::ChildStdout>,
}

impl Role {
    /// Starts this program with these arguments.
    ///
    /// # Errors
    /// The error of starting a process.
    pub fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Self::of(command)
    }

    /// Starts another program, which ends with its standard input.
    ///
    /// # Errors
    /// The error of starting a process.
    pub fn of(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        Ok(Self { child, stdin, out: BufReader::new(out) })
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// The error of writing.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}"),
            None => Ok(()),
        }
    }

    /// Reads the next line of its standard output.
    ///
    /// # Errors
    /// The error of reading, or `UnexpectedEof` if the child ended.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.out.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
