//! Feeds the loop with arbitrary answers, stops and clocks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_core::machines::Run;
use molecule_fuzz::{Happening, Setup, drive};

fuzz_target!(|input: (Setup, Vec<Happening>)| {
    let (setup, happenings) = input;
    drive(Run::new(), setup.session(), happenings);
});
