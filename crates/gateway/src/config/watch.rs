//! Says when a configuration may have changed: its files are glanced at every second, and read now and then.
//!
//! Looking costs a few system calls a second. Being told costs one for each change of anything in the same
//! directory, and a record is often written beside the configuration; network and overlay file systems do not tell at
//! all.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::source::{Disk, Glance, Watched};

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
    glance: Option<Glance>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    pace: Pace,
    next_reading: Instant,
}

/// How fast: tests are in a hurry.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Between glances.
    glance: Duration,
    /// Quiet time before files are read: writers seldom write one file at once.
    settle: Duration,
    /// Between readings without a reason, for a change that leaves length and time as they were.
    reading: Duration,
}

impl Watch {
    /// Watches what a load was made of. Must be called within a tokio runtime.
    pub fn new(watched: Watched) -> Self {
        Self::with_pace(
            watched,
            Pace {
                glance: Duration::from_secs(1),
                settle: Duration::from_millis(200),
                reading: Duration::from_secs(30),
            },
        )
    }

    fn with_pace(watched: Watched, pace: Pace) -> Self {
        Self {
            watched,
            glance: None,
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
            pace,
            next_reading: Instant::now() + pace.reading,
        }
    }

    /// Watches what another load was made of: call it after every load, also after one that failed.
    pub fn update(&mut self, watched: Watched) {
        self.watched = watched;
        self.glance = None;
    }

    /// Waits until there is a reason to load again. May be dropped and called again; nothing is lost, because what
    /// counts is what the files say.
    pub async fn changed(&mut self) -> Cause {
        loop {
            // A file may have changed between the load and this watch, so the first look reads.
            let (glance, is_first) = (self.glance().await, self.glance.is_none());
            if is_first || self.glance.as_ref() != Some(&glance) || Instant::now() >= self.next_reading {
                self.settle(glance).await;
                self.next_reading = Instant::now() + self.pace.reading;
                if self.is_stale().await {
                    return Cause::Files;
                }
            }
            let asked = async {
                #[cfg(unix)]
                if let Some(hangup) = &mut self.hangup {
                    hangup.recv().await;
                    return;
                }
                std::future::pending().await
            };
            tokio::select! {
                () = sleep(self.pace.glance) => {}
                () = asked => return Cause::Signal,
            }
        }
    }

    /// Waits until nothing has happened for a moment, but not for ever.
    async fn settle(&mut self, mut last: Glance) {
        for _ in 0..25 {
            sleep(self.pace.settle).await;
            let next = self.glance().await;
            if next == last {
                break;
            }
            last = next;
        }
        self.glance = Some(last);
    }

    async fn glance(&self) -> Glance {
        let watched = self.watched.clone();
        tokio::task::spawn_blocking(move || watched.glance(&Disk)).await.unwrap_or_default()
    }

    async fn is_stale(&self) -> bool {
        let watched = self.watched.clone();
        tokio::task::spawn_blocking(move || watched.is_stale(&Disk)).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::load;

    const PACE: Pace = Pace {
        glance: Duration::from_millis(2),
        settle: Duration::from_millis(1),
        reading: Duration::from_secs(600),
    };

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
