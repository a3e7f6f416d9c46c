//! The page of the shapes that `--json` writes.

use crate::exit::{self, Failure};
use crate::output::Output;

const PAGE: &str = include_str!("../shapes.md");

pub(super) fn show(output: &Output) -> Result<u8, Failure> {
    output.raw(PAGE.as_bytes())?;
    Ok(exit::OK)
}
