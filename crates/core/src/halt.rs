//! How a request ends when it does not pass: one closed table from cause to wire.
//!
//! A [`Halt`] is what every phase returns instead of the next stage. Its [`Reason`] fixes the status, the
//! stable public code and the public title; what only an operator may read travels in `detail` and ends in
//! the record, never on the wire.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::record::Phase;

/// Why a request went no further.
#[derive(Debug)]
pub enum Halt {
    /// The gate says no.
    Refusal(Refusal),
    /// The gate answers in the upstream's place (a preflight, a redirect).
    Reply(Reply),
    /// Something broke, here or at the upstream. Nothing passes.
    Fault(Refusal),
}

impl Halt {
    /// Builds the refusal or fault that `reason` stands for; `detail` is for the record alone.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let refusal = Refusal {
            reason,
            detail: detail.into(),
            headers: Vec::new(),
            violations: Vec::new(),
            wanted: None,
        };
        match reason.source() {
            Source::Client => Self::Refusal(refusal),
            Source::Upstream | Source::Gate => Self::Fault(refusal),
        }
    }

    /// Adds a header that goes to the client with the refusal (`Retry-After`, `WWW-Authenticate`, `Allow`).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        match &mut self {
            Self::Refusal(refusal) | Self::Fault(refusal) => refusal.headers.push((name, value)),
            Self::Reply(reply) => reply.headers.push((name, value)),
        }
        self
    }

    /// Adds what the contract found wrong. Only phases after `authorize` may call this: the client sees it.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        if let Self::Refusal(refusal) | Self::Fault(refusal) = &mut self {
            refusal.violations = violations;
        }
        self
    }

    /// Names the parameter whose value was an object that is not the caller's, for the record and its metric.
    #[must_use]
    pub fn with_denied(mut self, parameter: Option<&str>) -> Self {
        if let (Self::Refusal(refusal) | Self::Fault(refusal), Some(parameter)) = (&mut self, parameter) {
            refusal.wanted_mut().denied = Some(parameter.into());
        }
        self
    }

    /// Says what was called where the path does not say it, for the record.
    #[must_use]
    pub fn with_called(mut self, called: impl FnOnce() -> Box<str>) -> Self {
        if let Self::Refusal(refusal) | Self::Fault(refusal) = &mut self {
            refusal.wanted_mut().called = Some(called());
        }
        self
    }

    /// Says which path was asked for that no contract has: with its identifiers taken out, for the record.
    #[must_use]
    pub(crate) fn with_path(mut self, sketch: Box<str>) -> Self {
        if let Self::Refusal(refusal) | Self::Fault(refusal) = &mut self {
            refusal.wanted_mut().path = Some(sketch);
        }
        self
    }

    /// The row of the table this halt stands for; `None` for a reply.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refusal(refusal) | Self::Fault(refusal) => Some(refusal.reason),
            Self::Reply(_) => None,
        }
    }
}

/// A no, with what the client is told and what only the record is told.
#[derive(Debug)]
pub struct Refusal {
    /// The row of the table.
    pub reason: Reason,
    /// For the record only: which rule, which claim, which upstream.
    pub detail: Cow<'static, str>,
    /// Headers that the client needs to act on the refusal.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the contract found wrong, for a client that is allowed to know.
    pub violations: Vec<Violation>,
    // PERF: boxed, because few halts say more, and each phase returns one or its request.
    wanted: Option<Box<Wanted>>,
}

/// What a stopped request was after, as far as the record may say it.
#[derive(Debug, Default)]
struct Wanted {
    denied: Option<Box<str>>,
    called: Option<Box<str>>,
    path: Option<Box<str>>,
}

impl Refusal {
    /// The parameter that named an object which is not the caller's.
    pub fn denied(&self) -> Option<&str> {
        self.wanted.as_ref()?.denied.as_deref()
    }

    /// What was called, for the record, where the path does not say it.
    pub fn called(&self) -> Option<&str> {
        self.wanted.as_ref()?.called.as_deref()
    }

    /// A path that no contract has, without what may be an identifier in it.
    pub fn path(&self) -> Option<&str> {
        self.wanted.as_ref()?.path.as_deref()
    }

    fn wanted_mut(&mut self) -> &mut Wanted {
        self.wanted.get_or_insert_default()
    }
}

/// An answer of the gate's own that is neither refusal nor fault.
#[derive(Debug)]
pub struct Reply {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers; it has no body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that the contract found wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Where: a JSON pointer into the body (`/lines/0/count`), or `path:name`, `query:name`, `header:name`.
    pub at: String,
    /// What was expected, without quoting what was sent.
    pub message: String,
}

/// Who is at fault: decides between refusal and fault, and labels the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The client sent what may not pass.
    Client,
    /// The upstream failed, or answered what may not pass.
    Upstream,
    /// The gate itself could not do its work.
    Gate,
}

impl Source {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gate => "gate",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $phase:ident $source:ident $status:ident $code:literal $title:literal;)+) => {
        /// Every way a request can be stopped. Closed: it is also the label of the metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// All rows, for metrics and documents.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
            /// The phase that stops with this reason.
            pub const fn phase(self) -> Phase { match self { $(Self::$name => Phase::$phase,)+ } }
            /// Whose fault it is.
            pub const fn source(self) -> Source { match self { $(Self::$name => Source::$source,)+ } }
            /// The HTTP status.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)+ } }
            /// The stable public code.
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)+ } }
            /// The public sentence. It never quotes a rule, schema, upstream or secret.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }
        }
    };
}

reasons! {
    /// The bytes are not one well-formed HTTP request (RFC 9112).
    MalformedRequest: Receive Client BAD_REQUEST "malformed_request" "The request is not well-formed HTTP.";
    /// Two readers could disagree where the request ends (RFC 9112 section 11.2).
    AmbiguousFraming: Receive Client BAD_REQUEST "ambiguous_framing" "The request's framing is ambiguous.";
    /// Two readers could disagree what the path names.
    AmbiguousPath: Receive Client BAD_REQUEST "ambiguous_path" "The request's path is ambiguous.";
    /// No authority, two of them, or two that differ (RFC 9112 section 3.2).
    AmbiguousHost: Receive Client BAD_REQUEST "ambiguous_host" "The request does not name exactly one host.";
    /// A header that must occur once occurs twice, or names what it may not.
    AmbiguousHeader: Receive Client BAD_REQUEST "ambiguous_header" "A header of the request is ambiguous.";
    /// A credential, trace or body where none is allowed.
    UnexpectedBody: Receive Client BAD_REQUEST "unexpected_body" "The operation takes no body.";
    /// No configured route has this path.
    UnknownRoute: Receive Client NOT_FOUND "not_found" "There is nothing here.";
    /// The path exists, the method does not.
    MethodNotAllowed: Receive Client METHOD_NOT_ALLOWED "method_not_allowed" "The method is not allowed here.";
    /// Target longer than the limit.
    TargetTooLong: Receive Client URI_TOO_LONG "target_too_long" "The request target is too long.";
    /// Too many headers, or too large.
    HeadersTooLarge: Receive Client REQUEST_HEADER_FIELDS_TOO_LARGE "headers_too_large" "The request's headers are too large.";
    /// The head made no end in time.
    HeadTimeout: Receive Client REQUEST_TIMEOUT "head_timeout" "The request did not arrive in time.";
    /// Body larger than the operation's limit.
    BodyTooLarge: Receive Client PAYLOAD_TOO_LARGE "body_too_large" "The request body is too large.";
    /// Body made no progress, or was not complete in time.
    BodyTimeout: Receive Client REQUEST_TIMEOUT "body_timeout" "The request body did not arrive in time.";
    /// The client broke off while the body was read.
    BodyIncomplete: Receive Client BAD_REQUEST "body_incomplete" "The request body is incomplete.";
    /// `Expect` other than `100-continue`.
    ExpectationFailed: Receive Client EXPECTATION_FAILED "expectation_failed" "The expectation cannot be met.";
    /// Upgrade asked for where the route does not say so in writing.
    UpgradeRefused: Receive Client BAD_REQUEST "upgrade_refused" "The connection cannot be upgraded here.";

    /// No credential where one is needed.
    CredentialMissing: Identify Client UNAUTHORIZED "credential_missing" "A credential is required.";
    /// A credential that does not verify.
    CredentialInvalid: Identify Client UNAUTHORIZED "credential_invalid" "The credential is not valid.";
    /// A credential past its time.
    CredentialExpired: Identify Client UNAUTHORIZED "credential_expired" "The credential has expired.";
    /// More than one credential.
    CredentialAmbiguous: Identify Client BAD_REQUEST "credential_ambiguous" "Exactly one credential is required.";
    /// The issuer's keys cannot be had, so nothing can be verified.
    KeysUnavailable: Identify Gate SERVICE_UNAVAILABLE "keys_unavailable" "Credentials cannot be verified at the moment.";

    /// A budget has nothing left.
    BudgetExhausted: Admit Client TOO_MANY_REQUESTS "budget_exhausted" "The budget for this call is exhausted.";
    /// The gate sheds load.
    Overloaded: Admit Gate SERVICE_UNAVAILABLE "overloaded" "The gate is at its limit.";

    /// Policy did not allow the call.
    Forbidden: Authorize Client FORBIDDEN "forbidden" "The call is not allowed.";
    /// The object belongs to somebody else.
    ObjectForbidden: Authorize Client FORBIDDEN "forbidden" "The call is not allowed.";
    /// Not allowed, and its existence is a secret.
    Hidden: Authorize Client NOT_FOUND "not_found" "There is nothing here.";
    /// Who owns an object cannot be found out at the moment.
    OwnerUnavailable: Authorize Gate SERVICE_UNAVAILABLE "owner_unavailable" "The call cannot be decided at the moment.";
    /// A policy could not be evaluated. Never an Allow.
    PolicyIndeterminate: Authorize Client FORBIDDEN "forbidden" "The call is not allowed.";

    /// A path, query or header parameter breaks the contract.
    ParameterInvalid: Validate Client BAD_REQUEST "invalid_parameter" "A parameter does not meet the contract.";
    /// The body cannot be read one way only (duplicate keys, bad UTF-8, too deep).
    BodyMalformed: Validate Client BAD_REQUEST "malformed_body" "The request body is not well-formed.";
    /// The media type or its encoding is not in the contract.
    MediaTypeUnsupported: Validate Client UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The media type is not supported here.";
    /// The body breaks the contract.
    BodyInvalid: Validate Client UNPROCESSABLE_ENTITY "invalid_body" "The request body does not meet the contract.";

    /// An operation of GraphQL is not one of those that were listed.
    OperationUnlisted: Authorize Client FORBIDDEN "operation_unlisted" "The operation is not one of those allowed here.";
    /// An operation of GraphQL exceeds a limit.
    OperationTooLarge: Validate Client UNPROCESSABLE_ENTITY "operation_too_large" "The operation asks for too much.";

    /// A method of MCP that no table has.
    MethodUnknown: Authorize Client NOT_FOUND "method_unknown" "There is no such method.";
    /// A session that the caller did not open, or that is over.
    SessionUnknown: Authorize Client NOT_FOUND "session_unknown" "There is no such session.";

    /// A detector found what a rule blocks.
    ContentBlocked: Inspect Client FORBIDDEN "content_blocked" "The content is not allowed.";

    /// Whoever must read a request before it may pass does not answer.
    GuardUnavailable: Inspect Gate SERVICE_UNAVAILABLE "guard_unavailable" "The content cannot be judged at the moment.";
    /// A judge's question came back to the gate that asks it.
    GuardLoop: Inspect Gate LOOP_DETECTED "guard_loop" "The gate would judge itself.";

    /// No connection to the upstream.
    UpstreamUnreachable: Forward Upstream BAD_GATEWAY "upstream_unreachable" "The upstream cannot be reached.";
    /// The upstream broke the protocol or the connection.
    UpstreamBroken: Forward Upstream BAD_GATEWAY "upstream_broken" "The upstream's answer is broken.";
    /// The upstream took too long.
    UpstreamTimeout: Forward Upstream GATEWAY_TIMEOUT "upstream_timeout" "The upstream did not answer in time.";
    /// The gate's own credential for the upstream cannot be had.
    UpstreamCredential: Forward Gate SERVICE_UNAVAILABLE "upstream_credential" "The upstream cannot be used at the moment.";

    /// The answer breaks the contract.
    AnswerInvalid: Screen Upstream BAD_GATEWAY "answer_invalid" "The upstream's answer does not meet the contract.";
    /// A detector found in the answer what a rule blocks.
    AnswerBlocked: Screen Upstream BAD_GATEWAY "answer_blocked" "The upstream's answer is not allowed to leave.";
    /// Whoever must read an answer before it may leave does not answer.
    AnswerUnjudged: Screen Gate SERVICE_UNAVAILABLE "answer_unjudged" "The upstream's answer cannot be judged at the moment.";
    /// The answer is larger than can be screened.
    AnswerTooLarge: Screen Upstream BAD_GATEWAY "answer_too_large" "The upstream's answer is too large.";
    /// The answer is encoded in a way that cannot be screened.
    AnswerUnreadable: Screen Upstream BAD_GATEWAY "answer_unreadable" "The upstream's answer cannot be read.";

    /// A bug or a lost resource of ours. Denies.
    Internal: Receive Gate INTERNAL_SERVER_ERROR "internal" "The gate could not handle the request.";
    /// The record cannot be written, so nothing may happen.
    RecordUnavailable: Receive Gate SERVICE_UNAVAILABLE "record_unavailable" "The gate cannot take requests at the moment.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_an_error_status_and_its_code_is_a_slug() {
        for reason in Reason::ALL {
            let status = reason.status();
            assert!(status.is_client_error() || status.is_server_error(), "{reason:?}");
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason:?}");
            assert!(reason.title().ends_with('.'), "{reason:?}");
        }
    }
}
