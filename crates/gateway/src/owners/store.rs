//! Who created what: remembered in memory and in a file that is only appended to, or in a table.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::postgres::PostgresError;
use super::table::TableOwners;

/// What remembers who created what.
#[derive(Debug, Clone)]
pub enum Owners {
    /// A file of this gate's own.
    File(Arc<FileOwners>),
    /// A table that several gates may share.
    Table(Arc<TableOwners>),
}

impl Owners {
    /// Whether a creation can be remembered: asked before it is let through.
    ///
    /// # Errors
    /// It cannot.
    pub async fn expect_ready(&self) -> Result<(), OwnersError> {
        let is_ready = match self {
            Self::File(owners) => owners.is_ready(),
            Self::Table(owners) => owners.is_ready().await?,
        };
        if is_ready { Ok(()) } else { Err(OwnersError::NotReady) }
    }

    /// The owner of an object of a kind; `None` where nobody was seen to create it.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    pub async fn owner(&self, kind: &str, id: &str) -> Result<Option<SmolStr>, OwnersError> {
        match self {
            Self::File(owners) => Ok(owners.owner(kind, id)),
            Self::Table(owners) => owners.owner(kind, id).await,
        }
    }

    /// Remembers an owner for good: returns once that would survive a crash.
    ///
    /// # Errors
    /// The object has another owner already, or it cannot be written.
    pub async fn remember(&self, kind: Box<str>, id: SmolStr, owner: SmolStr) -> Result<(), OwnersError> {
        match self {
            Self::File(owners) => {
                let owners = Arc::clone(owners);
                // Writing waits for the disk: not on a thread that serves.
                let written = tokio::task::spawn_blocking(move || owners.remember(&kind, &id, &owner));
                written.await.unwrap_or_else(|error| Err(OwnersError::Io(io::Error::other(error))))
            }
            Self::Table(owners) => owners.remember(&kind, &id, &owner).await,
        }
    }
}

/// Why an owner is not known, or not remembered.
#[derive(Debug, thiserror::Error)]
pub enum OwnersError {
    /// The file cannot be read or written.
    #[error("owners cannot be written: {0}")]
    Io(#[from] io::Error),
    /// A line before the last is no entry: somebody wrote there who should not.
    #[error("line {0} of the owners is not an entry")]
    Broken(usize),
    /// No more can be remembered.
    #[error("{0} owners are remembered, which is the limit")]
    Full(usize),
    /// Somebody else created it.
    #[error("the object has another owner already")]
    Taken,
    /// An earlier write failed.
    #[error("owners could not be written before")]
    Failed,
    /// Nothing more can be remembered.
    #[error("what is created cannot be remembered")]
    NotReady,
    /// The entry that is there already is there no more.
    #[error("the entry of the owner was taken away meanwhile")]
    Gone,
    /// The table cannot be read or written.
    #[error("owners: {0}")]
    Postgres(#[from] PostgresError),
}

/// Owners in a file of JSON lines, all of them in memory as well.
#[derive(Debug)]
pub struct FileOwners {
    known: Mutex<Known>,
    has_failed: AtomicBool,
    limit: usize,
}

#[derive(Debug)]
struct Known {
    owners: FxHashMap<SmolStr, FxHashMap<SmolStr, SmolStr>>,
    count: usize,
    file: File,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    kind: SmolStr,
    id: SmolStr,
    owner: SmolStr,
}

impl FileOwners {
    /// Opens the file, makes it where there is none, and reads all of it. A last line that a crash cut short is
    /// taken away: its creation was never confirmed.
    ///
    /// # Errors
    /// The file cannot be read or written, or has lines that are no entries.
    pub fn open(path: &Path, limit: usize) -> Result<Arc<Self>, OwnersError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        if whole < text.len() {
            tracing::warn!("the last line of the owners was cut short and is dropped");
            file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
        }
        let mut known = Known { owners: FxHashMap::default(), count: 0, file };
        for (index, line) in text.get(..whole).unwrap_or_default().lines().enumerate() {
            let entry: Entry =
                serde_json::from_str(line).map_err(|_| OwnersError::Broken(index.saturating_add(1)))?;
            known.put(entry)?;
        }
        Ok(Arc::new(Self { known: Mutex::new(known), has_failed: AtomicBool::new(false), limit }))
    }
}

impl Known {
    /// The first who created it owns it.
    fn put(&mut self, entry: Entry) -> Result<bool, OwnersError> {
        let of_kind = self.owners.entry(entry.kind).or_default();
        match of_kind.get(&entry.id) {
            Some(owner) if *owner == entry.owner => return Ok(false),
            Some(_) => return Err(OwnersError::Taken),
            None => of_kind.insert(entry.id, entry.owner),
        };
        self.count += 1;
        Ok(true)
    }
}

impl FileOwners {
    fn is_ready(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed) && self.known.lock().count < self.limit
    }

    fn owner(&self, kind: &str, id: &str) -> Option<SmolStr> {
        let known = self.known.lock();
        known.owners.get(kind).and_then(|of_kind| of_kind.get(id)).cloned()
    }

    /// Blocks.
    fn remember(&self, kind: &str, id: &str, owner: &str) -> Result<(), OwnersError> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(OwnersError::Failed);
        }
        let entry = Entry { kind: kind.into(), id: id.into(), owner: owner.into() };
        let mut line = serde_json::to_vec(&entry).map_err(io::Error::from)?;
        line.push(b'\n');
        let mut known = self.known.lock();
        match known.owners.get(kind).and_then(|of_kind| of_kind.get(id)) {
            Some(known) if *known == owner => return Ok(()),
            Some(_) => return Err(OwnersError::Taken),
            None => {}
        }
        if known.count >= self.limit {
            return Err(OwnersError::Full(self.limit));
        }
        // INVARIANT: what is remembered in memory lies in the file already, or it would be lost in a crash.
        if let Err(error) = known.file.write_all(&line).and_then(|()| known.file.sync_data()) {
            self.has_failed.store(true, Ordering::Relaxed);
            return Err(OwnersError::Io(error));
        }
        known.put(entry).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_created_it_owns_it_and_that_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/owners.jsonl");
        let owners = FileOwners::open(&path, 3).unwrap();
        owners.remember("shop/orderId", "o-1", "alice").unwrap();
        owners.remember("shop/orderId", "o-1", "alice").unwrap();
        owners.remember("shop/orderId", "o\n\"2", "bob").unwrap();
        assert!(matches!(owners.remember("shop/orderId", "o-1", "bob"), Err(OwnersError::Taken)));
        owners.remember("shop/cartId", "o-1", "bob").unwrap();
        assert!(!owners.is_ready());
        assert!(matches!(owners.remember("shop/cartId", "o-9", "bob"), Err(OwnersError::Full(3))));
        drop(owners);
        // A crash in the midst of a line.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"kind\":\"shop/orderId\",\"id\":\"o-7\"").unwrap();
        for _ in 0..2 {
            let owners = FileOwners::open(&path, 4).unwrap();
            let owner = |kind: &str, id: &str| owners.owner(kind, id);
            assert_eq!(owner("shop/orderId", "o-1").as_deref(), Some("alice"));
            assert_eq!(owner("shop/orderId", "o\n\"2").as_deref(), Some("bob"));
            assert_eq!(owner("shop/cartId", "o-1").as_deref(), Some("bob"));
            assert_eq!(owner("shop/orderId", "o-7"), None);
            assert_eq!(owner("other", "o-1"), None);
            assert!(owners.is_ready());
        }
    }

    #[test]
    fn a_file_that_says_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owners.jsonl");
        let entry = |owner: &str| format!("{{\"kind\":\"k\",\"id\":\"1\",\"owner\":\"{owner}\"}}\n");
        std::fs::write(&path, format!("{}nonsense\n", entry("a"))).unwrap();
        assert!(matches!(FileOwners::open(&path, 9), Err(OwnersError::Broken(2))));
        std::fs::write(&path, format!("{}{}", entry("a"), entry("b"))).unwrap();
        assert!(matches!(FileOwners::open(&path, 9), Err(OwnersError::Taken)));
        std::fs::write(&path, b"\xff\n").unwrap();
        assert!(matches!(FileOwners::open(&path, 9), Err(OwnersError::Io(_))));
    }

    #[test]
    fn after_a_write_that_failed_nothing_more_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owners.jsonl");
        let owners = FileOwners::open(&path, 9).unwrap();
        owners.remember("k", "1", "a").unwrap();
        // A file that cannot be written.
        owners.known.lock().file = File::open(&path).unwrap();
        assert!(matches!(owners.remember("k", "2", "a"), Err(OwnersError::Io(_))));
        assert!(!owners.is_ready());
        assert!(matches!(owners.remember("k", "3", "a"), Err(OwnersError::Failed)));
        assert_eq!(owners.owner("k", "2"), None);
        assert_eq!(owners.owner("k", "1").as_deref(), Some("a"));
    }
}
