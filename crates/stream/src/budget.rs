//! The byte budget of what is in flight: accounted, never guessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that batches in memory may hold together.
#[derive(Debug, Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    total: u32,
}

/// Bytes taken from a [`Budget`]; dropped, they are free again.
#[derive(Debug)]
pub struct Permit {
    /// Held for its drop.
    _permit: Option<OwnedSemaphorePermit>,
    counted: Option<(Arc<AtomicU64>, u64)>,
}

impl Permit {
    /// Bytes that are counted and not waited for.
    pub(crate) fn counted(counter: &Arc<AtomicU64>, bytes: u64) -> Self {
        counter.fetch_add(bytes, Ordering::Relaxed);
        Self { _permit: None, counted: Some((Arc::clone(counter), bytes)) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((counter, bytes)) = &self.counted {
            counter.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

/// No budget is larger: permits are counted in 32 bits.
const TOTAL_MAX: u64 = u32::MAX as u64;

impl Budget {
    /// A budget of `bytes`, cut to 4 GiB.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes.clamp(1, TOTAL_MAX)).unwrap_or(u32::MAX);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` are free and takes them. More than the whole budget counts as the whole budget, so
    /// that one huge batch can pass alone. First come, first served.
    pub async fn take(&self, bytes: usize) -> Permit {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(bytes).await;
        let permit = Some(permit.expect("the semaphore is never closed"));
        Permit { _permit: permit, counted: None }
    }

    /// Takes `bytes` if that many are free now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(bytes).ok()?;
        Some(Permit { _permit: Some(permit), counted: None })
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        u64::from(self.total).saturating_sub(self.semaphore.available_permits() as u64)
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn bytes_are_waited_for_and_given_back() {
        let budget = Budget::new(100);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(first) = pin!(budget.take(80)).poll(&mut context) else { panic!("free") };
        let mut second = pin!(budget.take(30));
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_batch_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(10);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(huge) = pin!(budget.take(1_000)).poll(&mut context) else {
            panic!("alone")
        };
        assert_eq!(budget.used(), 10);
        assert!(pin!(budget.take(1)).poll(&mut context).is_pending());
        drop(huge);
        assert_eq!(budget.used(), 0);
    }
}
