//! A deadline that costs no timer operation when it moves.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that moves for free.
// PERF: the timer stays in the wheel at an older deadline, and only when that one passes is it set anew, so a
// request or a body frame costs a store instead of two wheel operations under a lock.
pub(crate) struct Watchdog {
    // INVARIANT: `sleep.deadline() <= deadline`.
    sleep: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl Watchdog {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline)), deadline }
    }

    /// Moves the deadline.
    pub(crate) fn arm(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        }
    }

    /// Ready when the deadline has passed; else the task is woken no later than then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.deadline);
        }
    }
}
