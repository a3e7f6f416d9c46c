//! Measures the program `molecule` from outside: its start until it is registered, and its memory while nothing happens,
//! beside agents in Python that do the same.
//!
//! ```console
//! $ cargo xtask dist   # its summary names the program
//! $ cargo bench -p molecule-bench --bench program -- target/x86_64-unknown-linux-musl/dist/molecule [python]
//! ```
//!
//! Programs in Python are measured if a Python is named that has `httpx` and `requests`. Nothing here passes or fails.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Duration;

use molecule_bench::Outcome;
use molecule_bench::program::{self, Program};

/// How long a program is idle before its memory is read.
const IDLE: Duration = Duration::from_secs(60);

/// How many starts there are of each.
const STARTS: usize = 25;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (molecule, python) = match arguments.as_slice() {
        [molecule] => (molecule, None),
        [molecule, python] => (molecule, Some(python)),
        _ => {
            return Err(
                "give the path of the program, and that of a Python with httpx and requests if there is one".into()
            );
        }
    };
    let mut programs = vec![Program::molecule(Path::new(molecule))];
    for client in ["httpx", "requests"] {
        programs.extend(python.map(|python| Program::python(Path::new(python), client)));
    }
    println!("| what | program | figure | range | goal |\n|---|---|---|---|---|");
    let names = programs.iter().map(Program::name).collect::<Outcome<Vec<_>>>()?;
    let goal = |at: usize, goal: &'static str| if at == 0 { goal } else { "" };
    for (at, starts) in program::starts(&programs, STARTS)?.into_iter().enumerate() {
        let what = "start of the process to registered, its token stored";
        let (median, least, most) = program::spread(starts);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (name, goal) = (&names[at], goal(at, "at most 15 ms"));
        println!(
            "| {what} | {name} | {:.1} ms | {:.1} to {:.1} ms | {goal} |",
            millis(median),
            millis(least),
            millis(most)
        );
    }
    for (at, memory) in program::idle(&programs, IDLE)?.into_iter().enumerate() {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (name, goal) = (&names[at], goal(at, "at most 8 MiB"));
        let what = format!("resident memory after {} s of nothing", IDLE.as_secs());
        println!(
            "| {what} | {name} | {:.1} MiB | of which private and written {:.1} MiB | {goal} |",
            mib(memory.resident),
            mib(memory.written)
        );
    }
    Ok(())
}
