//! Where a made-up case that failed is kept.

#![allow(unreachable_pub)]

use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

/// In a file beside the source of its test, which every later run tries first. It belongs into the repository.
pub fn persisted() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("regressions")))
}
