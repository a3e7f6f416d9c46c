//! The file of random cases that have failed.

#![allow(unreachable_pub)]

use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

/// Stores failed cases in a file beside the source of the test. Every later run tries them first. The file belongs in
/// the repository.
pub fn persisted() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("regressions")))
}
