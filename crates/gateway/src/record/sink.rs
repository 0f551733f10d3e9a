//! Where records go: one line each, written by a thread of its own so that no request waits for a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long lines gather before they are written together. Bounds the loss of a crash and the wake-ups of load.
const GATHER: Duration = Duration::from_millis(20);
/// Lines that could not be written are kept up to this size; from then on requests are refused.
const KEPT: usize = 16 << 20;
/// Pause between two tries while the file cannot be written.
const RETRY: Duration = Duration::from_millis(500);
/// How long a closed sink tries to write what is left.
const PARTING: Duration = Duration::from_secs(2);

/// Takes finished lines. Cheap to share.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    ended: Condvar,
    is_broken: AtomicBool,
    lines: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    is_closed: bool,
    /// The writer will write nothing more.
    has_ended: bool,
}

impl Sink {
    /// Writes lines to standard output.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn stdout() -> io::Result<Self> {
        Self::start(Box::new(io::stdout()))
    }

    /// Appends lines to the file at `path`, which is created (readable by its owner alone) when it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or no thread can be started.
    pub fn file(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file: File = options.open(path)?;
        Self::start(Box::new(file))
    }

    /// Writes lines to `out`. Public so that tests and `demo` can keep them in memory.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name("portcullis-record".into()).spawn(move || {
            theirs.write_all(out);
            theirs.queue.lock().has_ended = true;
            theirs.ended.notify_all();
        })?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Whether lines can be taken. While it is false nothing may pass: a decision that is not recorded is not made.
    pub fn is_ready(&self) -> bool {
        !self.shared.is_broken.load(Ordering::Relaxed)
    }

    /// Takes one line, without its line end.
    pub fn push(&self, line: &[u8]) {
        let mut queue = self.shared.queue.lock();
        if queue.bytes.len() + line.len() >= KEPT {
            // The requests whose lines are lost here began before the sink was known to be broken.
            self.shared.is_broken.store(true, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(line);
        queue.bytes.push(b'\n');
        drop(queue);
        self.shared.lines.fetch_add(1, Ordering::Relaxed);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Lines that had to be dropped because nothing could be written for too long.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Lines taken.
    pub fn lines(&self) -> u64 {
        self.shared.lines.load(Ordering::Relaxed)
    }

    /// Writes what is left and ends the thread. Lines pushed later are kept but not written.
    ///
    /// Waits for a few seconds at most: a pipe that nobody reads must not keep the process from ending.
    pub fn close(&self) {
        let Some(writer) = self.writer.lock().take() else { return };
        let mut queue = self.shared.queue.lock();
        queue.is_closed = true;
        self.shared.filled.notify_one();
        let deadline = Instant::now() + PARTING + RETRY * 2;
        while !queue.has_ended {
            let is_over = self.shared.ended.wait_until(&mut queue, deadline).timed_out();
            if is_over {
                // A panic of the writer, too, ends here.
                tracing::error!("the last records could not be written");
                return;
            }
        }
        drop(queue);
        if writer.join().is_err() {
            tracing::error!("the record's writer ended in a panic");
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn write_all(&self, mut out: Box<dyn Write + Send>) {
        let mut batch = Vec::new();
        loop {
            let is_closed = self.gather(&mut batch);
            let mut deadline = None;
            while let Err(error) = write_batch(&mut *out, &mut batch) {
                self.is_broken.store(true, Ordering::Relaxed);
                tracing::error!(%error, "records cannot be written: requests are refused until they can");
                // The sink may have been closed while this batch waited; whoever stops does not wait for ever.
                if self.queue.lock().is_closed {
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + PARTING);
                    if Instant::now() >= deadline {
                        return;
                    }
                }
                std::thread::sleep(RETRY);
            }
            self.is_broken.store(false, Ordering::Relaxed);
            if is_closed {
                return;
            }
        }
    }

    /// Waits for lines, lets some more gather, and takes them. True when the sink is closed.
    fn gather(&self, batch: &mut Vec<u8>) -> bool {
        let mut queue = self.queue.lock();
        while queue.bytes.is_empty() && !queue.is_closed {
            self.filled.wait(&mut queue);
        }
        if !queue.is_closed {
            drop(queue);
            std::thread::sleep(GATHER);
            queue = self.queue.lock();
        }
        std::mem::swap(batch, &mut queue.bytes);
        queue.is_closed
    }
}

/// Writes and removes what was written from the front, so that a retry neither loses nor repeats bytes.
fn write_batch(out: &mut (dyn Write + Send), batch: &mut Vec<u8>) -> io::Result<()> {
    while !batch.is_empty() {
        match out.write(batch) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => drop(batch.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails `failures` times, then takes three bytes a call.
    #[derive(Clone)]
    struct Stubborn {
        failures: Arc<AtomicU64>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stubborn {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures.load(Ordering::Relaxed) > 0 {
                self.failures.fetch_sub(1, Ordering::Relaxed);
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(3);
            self.written.lock().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(failures: u64, lines: &[&str], expected: &str) {
        let out = Stubborn { failures: Arc::new(AtomicU64::new(failures)), written: Arc::default() };
        let sink = Sink::start(Box::new(out.clone())).unwrap();
        for line in lines {
            sink.push(line.as_bytes());
        }
        sink.close();
        assert_eq!(String::from_utf8(out.written.lock().clone()).unwrap(), expected);
    }

    #[test]
    fn lines_are_written_in_order_and_whole() {
        check(0, &[], "");
        check(0, &["one", "two", ""], "one\ntwo\n\n");
    }

    /// What is written to it stays there until the receiver is gone.
    struct Stuck(std::sync::mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_cannot_write_still_closes() {
        let (release, stuck) = std::sync::mpsc::channel();
        let sink = Sink::start(Box::new(Stuck(stuck))).unwrap();
        sink.push(b"one");
        sink.close();
        drop(release);
        // Broken before it is closed, and not only after.
        let out = Stubborn { failures: Arc::new(AtomicU64::new(u64::MAX)), written: Arc::default() };
        let sink = Sink::start(Box::new(out)).unwrap();
        sink.push(b"one");
        while sink.is_ready() {
            std::thread::yield_now();
        }
        sink.close();
        assert!(!sink.is_ready());
    }

    #[test]
    fn a_failed_write_neither_loses_nor_repeats() {
        check(1, &["one", "two"], "one\ntwo\n");
    }
}
