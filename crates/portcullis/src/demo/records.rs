//! Reads back the records that the gate wrote.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// The record file of the demo's gate.
pub(crate) struct Records(PathBuf);

impl Records {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    /// The record with this id; without an id, the first after the `before` that were there already.
    pub(crate) async fn find(&self, id: Option<&str>, before: usize) -> anyhow::Result<Value> {
        for _ in 0..500 {
            let found =
                self.read().into_iter().skip(before).find(|record| id.is_none_or(|id| record["id"] == id));
            if let Some(record) = found {
                return Ok(record);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None.context("the gate wrote no record of it")
    }

    fn read(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
