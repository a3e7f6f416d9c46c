//! The place where a random case that failed is kept.

#![allow(unreachable_pub)]

use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

/// A file beside the source of the test, whose cases every later run tries first. It belongs into the repository.
pub fn persisted() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("regressions")))
}
