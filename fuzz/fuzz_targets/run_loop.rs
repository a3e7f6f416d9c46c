//! The loop, fed with arbitrary answers, commands and clocks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_core::{Run, RunCommand};
use molecule_fuzz::{Happening, Setup, drive};

fuzz_target!(|input: (Setup, Vec<Happening>)| {
    let (setup, happenings) = input;
    drive(Run::new(), setup.session(), happenings, |number| {
        Some(match number % 8 {
            0 => RunCommand::Stop,
            1 => RunCommand::StopNow,
            _ => RunCommand::Check,
        })
    });
});
