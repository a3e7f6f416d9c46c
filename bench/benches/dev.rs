//! `molecule dev` under 200 agents of ours, which get messages from their users, and the page that somebody has open meanwhile.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench dev             # 75 s
//! $ cargo bench -p molecule-bench --bench dev -- 20 10    # 20 agents for 10 s
//! ```
//!
//! The platform is in a process of its own, and the agents are in another one. Nothing here passes or fails.

#![allow(clippy::print_stdout)]

use molecule_bench::{Outcome, watched};

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["platform", log] => watched::platform(log),
        ["agents", url] => watched::agents(url),
        [] => watched::figures(200, 60),
        [agents, seconds] => watched::figures(agents.parse()?, seconds.parse()?),
        _ => Err("give nothing, or a number of agents and of seconds".into()),
    }
}
