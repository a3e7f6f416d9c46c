//! The memory for bodies, over all connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted: permits of a semaphore are few, and a body is seldom measured in bytes.
const UNIT: usize = 1024;

/// The first bytes of each body, for which a part of the budget is set aside: large bodies that do not come to an end must not
/// hold back the small ones.
const FIRST: usize = 64 * 1024;

/// The bytes of bodies that may be in memory.
pub(crate) struct Budget {
    first: Arc<Semaphore>,
    more: Arc<Semaphore>,
}

/// The memory of one body. It is given back when this is dropped.
#[derive(Default)]
pub(crate) struct Taken {
    bytes: usize,
    first: Option<OwnedSemaphorePermit>,
    more: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(2, Semaphore::MAX_PERMITS);
        let first = units / 4 + 1;
        Self { first: Arc::new(Semaphore::new(first)), more: Arc::new(Semaphore::new(units - first)) }
    }

    /// Takes memory for a body that is now this long. It waits until there is some.
    pub(crate) async fn grow(&self, taken: &mut Taken, length: usize) {
        let units = length.div_ceil(UNIT).saturating_sub(taken.bytes.div_ceil(UNIT));
        taken.bytes = length;
        let Ok(units) = u32::try_from(units) else { return std::future::pending().await };
        if units == 0 {
            return;
        }
        if length <= FIRST
            && let Ok(permit) = Arc::clone(&self.first).try_acquire_many_owned(units)
        {
            return add(&mut taken.first, permit);
        }
        match Arc::clone(&self.more).acquire_many_owned(units).await {
            Ok(permit) => add(&mut taken.more, permit),
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Adds a permit to those of the same semaphore.
fn add(all: &mut Option<OwnedSemaphorePermit>, permit: OwnedSemaphorePermit) {
    match all {
        Some(all) => all.merge(permit),
        None => *all = Some(permit),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn fits(budget: &Budget, taken: &mut Taken, length: usize) -> bool {
        timeout(Duration::from_secs(1), budget.grow(taken, length)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_leave_room_for_small_ones() {
        let budget = Arc::new(Budget::new(1024 * 1024));
        let mut large = Taken::default();
        assert!(fits(&budget, &mut large, FIRST).await && fits(&budget, &mut large, 512 * 1024).await);
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.grow(&mut Taken::default(), 512 * 1024).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let mut small = [(); 3].map(|()| Taken::default());
        for small in &mut small {
            assert!(fits(&budget, small, 10_000).await);
        }
        drop(large);
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_to_the_last_byte() {
        let budget = Budget::new(256 * 1024);
        for _ in 0..3 {
            let mut body = Taken::default();
            for length in (0..=190 * 1024).step_by(1000) {
                assert!(fits(&budget, &mut body, length).await, "{length}");
            }
            assert!(!fits(&budget, &mut Taken::default(), 100 * 1024).await);
        }
    }
}
