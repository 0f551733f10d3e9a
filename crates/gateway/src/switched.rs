//! A connection that became a WebSocket: both sides joined, and the record that ends with them.

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Outcome, Phase};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::forward::Stream;
use crate::record::Recording;
use crate::websocket::frames::Sender;
use crate::websocket::{SpliceEnd, WebsocketRules, splice};

/// What long-lived connections share: they are counted, and told when the gate stops.
#[derive(Debug, Clone, Default)]
pub struct Lifetime {
    /// Done when the gate stops.
    pub stop: CancellationToken,
    /// Connections that are no longer HTTP.
    pub tasks: TaskTracker,
}

/// Both ends of a WebSocket, the client's not yet released by HTTP.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(crate) client: OnUpgrade,
    pub(crate) upstream: Stream,
    pub(crate) already_read: Bytes,
    pub(crate) rules: WebsocketRules,
    pub(crate) lifetime: Lifetime,
}

impl Switched {
    /// Joins both sides in a task of its own; the record is emitted when they part.
    pub(crate) fn start(self, mut record: Recording) {
        record.draft.is_stream = true;
        let Self { client, upstream, already_read, rules, lifetime } = self;
        let stop = lifetime.stop.clone();
        lifetime.tasks.spawn(async move {
            let Ok(client) = client.await else { return };
            let spliced =
                splice(TokioIo::new(client), upstream, already_read, &rules, stop.cancelled()).await;
            record.draft.bytes_in += spliced.client_bytes;
            record.draft.bytes_out += spliced.upstream_bytes;
            match spliced.end {
                SpliceEnd::Violation(sender, violation) => {
                    let reason = match sender {
                        Sender::Client => Reason::MalformedRequest,
                        Sender::Upstream => Reason::UpstreamBroken,
                    };
                    record.halted(&Halt::new(reason, format!("{sender:?}: {violation}")));
                }
                SpliceEnd::Closed | SpliceEnd::Idle | SpliceEnd::Stopped => {
                    // Frames are walked for their form; nothing reads what they say.
                    record.close(Phase::Screen, Outcome::None);
                }
                SpliceEnd::Broken(error) => {
                    record.draft.notes.push(format!("a side of the WebSocket broke: {error}"));
                    record.close(Phase::Screen, Outcome::None);
                }
            }
            record.complete();
        });
    }
}
