//! Measures the memory of messages that wait for their handler, each facade in a process of its own.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench inbox_memory
//! ```
//!
//! The heap is what the program has allocated and not freed; the resident memory has the pages of the feed as well, of
//! which the allocator keeps some after they were read. Nothing here passes or fails.

#![allow(clippy::print_stdout)]

use molecule_bench::Outcome;
use molecule_bench::receiving::Facade;
use molecule_bench::waiting::{self, Waiting};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["waiting", facade, url, id, token] => {
            waiting::run(Facade::of(facade)?, (url, id, token), || HEAP.current_usage())
        }
        _ => figures(),
    }
}

fn figures() -> Outcome {
    const MESSAGES: u32 = 1_000;
    println!("| what | figure | its row as JSON | resident memory | goal |\n|---|---|---|---|---|");
    for facade in Facade::ALL {
        let Waiting { own, heap, resident } = waiting::measure(facade, MESSAGES)?;
        let kib = |bytes: f64| bytes / 1024.0;
        println!(
            "| {}: a message that waits, of {MESSAGES}, beyond its own bytes | {:.2} KiB | {:.2} KiB | {:.2} KiB | at \
             most 4 KiB |",
            facade.name(),
            kib(heap - own),
            kib(own),
            kib(resident)
        );
    }
    Ok(())
}
