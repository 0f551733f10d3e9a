//! Says when a configuration may have changed: the directories of its files are watched, and all of it is looked
//! at again now and then, for file systems that do not tell.
//!
//! Directories and not files, because editors and Kubernetes replace files: a ConfigMap swaps a link `..data`
//! beside the names that were read.

use std::path::PathBuf;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::source::{Disk, Watched};

/// Why to load again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A file says something else than when it was read.
    Files,
    /// Somebody asked for it (SIGHUP); the files may be the same.
    Signal,
}

/// Watches what a configuration was made of.
#[derive(Debug)]
pub struct Watch {
    watched: Watched,
    watcher: Option<RecommendedWatcher>,
    directories: Vec<PathBuf>,
    events: mpsc::Receiver<()>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    pace: Pace,
    next_poll: Instant,
}

/// How fast: tests are in a hurry.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Quiet time before files are read: writers seldom write one file at once.
    settle: Duration,
    /// Between looks without being told.
    poll: Duration,
}

impl Watch {
    /// Watches what a load was made of. Must be called within a tokio runtime.
    ///
    /// Where the system cannot watch (too many watches, a strange file system), looking every 30 s remains.
    pub fn new(watched: Watched) -> Self {
        Self::with_pace(watched, Pace { settle: Duration::from_millis(200), poll: Duration::from_secs(30) })
    }

    fn with_pace(watched: Watched, pace: Pace) -> Self {
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading files is an event as well on some systems, and reading is what we do.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "files are not watched, only looked at every 30 s"))
            .ok();
        let mut watch = Self {
            watched: Watched::default(),
            watcher,
            directories: Vec::new(),
            events,
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
            pace,
            next_poll: Instant::now() + pace.poll,
        };
        watch.update(watched);
        watch
    }

    /// Watches what another load was made of: call it after every load, also after one that failed.
    pub fn update(&mut self, watched: Watched) {
        let directories = watched.directories();
        if let Some(watcher) = &mut self.watcher {
            for gone in self.directories.iter().filter(|old| !directories.contains(old)) {
                let _ = watcher.unwatch(gone);
            }
            // Also those that are watched: one may have been removed and made again.
            for new in &directories {
                if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                    tracing::debug!(directory = %new.display(), %error, "directory is not watched");
                }
            }
        }
        self.directories = directories;
        self.watched = watched;
    }

    /// Waits until there is a reason to load again. May be dropped and called again; nothing is lost, because what
    /// counts is what the files say.
    pub async fn changed(&mut self) -> Cause {
        // A file may have changed between the load and this watch, so the first look needs no event.
        if self.is_stale().await {
            return Cause::Files;
        }
        loop {
            let asked = async {
                #[cfg(unix)]
                if let Some(hangup) = &mut self.hangup {
                    hangup.recv().await;
                    return;
                }
                std::future::pending().await
            };
            tokio::select! {
                told = self.events.recv(), if self.watcher.is_some() => {
                    if told.is_none() {
                        self.watcher = None;
                        continue;
                    }
                    self.settle().await;
                }
                () = sleep_until(self.next_poll) => {}
                () = asked => return Cause::Signal,
            }
            self.next_poll = Instant::now() + self.pace.poll;
            if self.is_stale().await {
                return Cause::Files;
            }
        }
    }

    /// Waits until nothing has happened for a moment, but not for ever.
    async fn settle(&mut self) {
        for _ in 0..25 {
            match timeout(self.pace.settle, self.events.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn is_stale(&self) -> bool {
        let watched = self.watched.clone();
        tokio::task::spawn_blocking(move || watched.is_stale(&Disk)).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::load;

    const PACE: Pace = Pace { settle: Duration::from_millis(2), poll: Duration::from_secs(600) };

    /// A configuration that is wrong, which is watched all the same.
    fn written(directory: &Path) -> PathBuf {
        let path = directory.join("portcullis.yaml");
        fs::create_dir(directory.join("policy")).unwrap();
        fs::write(&path, "version: 1\npolicy: { cedar: [\"policy/*.cedar\", more.cedar] }\n").unwrap();
        path
    }

    #[test]
    fn what_was_read_is_stale_when_it_says_something_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        let watched = || load(&path, &Disk).watched;
        let before = watched();
        assert!(!before.is_stale(&Disk));
        fs::write(&path, fs::read(&path).unwrap()).unwrap();
        assert!(!before.is_stale(&Disk), "the same text written again is no change");
        fs::write(directory.path().join("policy/.new.cedar.swp"), "").unwrap();
        assert!(!before.is_stale(&Disk), "an editor's file is no policy");
        fs::write(directory.path().join("policy/new.cedar"), "").unwrap();
        assert!(before.is_stale(&Disk), "a new match is a change");
        let before = watched();
        fs::write(directory.path().join("more.cedar"), "").unwrap();
        assert!(before.is_stale(&Disk), "a file that was missing is a change");
        let before = watched();
        fs::write(&path, "version: 2").unwrap();
        assert!(before.is_stale(&Disk));
        let before = watched();
        fs::remove_file(&path).unwrap();
        assert!(before.is_stale(&Disk));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_swapped_link_is_noticed() {
        use std::os::unix::fs::symlink;
        // As Kubernetes mounts a ConfigMap: names link through `..data`, which is swapped by a rename.
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (version, text) in [("..1", "version: 1"), ("..2", "version: 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("portcullis.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/portcullis.yaml", at("portcullis.yaml")).unwrap();
        let path = at("portcullis.yaml");
        let mut watch = Watch::with_pace(load(&path, &Disk).watched, PACE);
        let (cause, ()) = tokio::join!(watch.changed(), async {
            symlink("..2", at("..tmp")).unwrap();
            fs::rename(at("..tmp"), at("..data")).unwrap();
        });
        assert_eq!(cause, Cause::Files);
        watch.update(load(&path, &Disk).watched);
        assert!(!watch.is_stale().await);
    }

    #[tokio::test]
    async fn a_change_before_the_watch_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        let loaded = load(&path, &Disk);
        fs::write(&path, "version: 1\n").unwrap();
        let mut watch = Watch::with_pace(loaded.watched, PACE);
        assert_eq!(watch.changed().await, Cause::Files);
    }
}
