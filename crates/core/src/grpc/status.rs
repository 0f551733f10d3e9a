//! The status codes of gRPC, and which of them a refusal is.

use crate::halt::{Reason, Refusal};

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of gRPC")]
pub enum Status {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Status {
    /// The status that a refusal or fault is told as.
    pub fn of(refusal: &Refusal) -> Self {
        match refusal.reason {
            // An object that is hidden reads like one that is missing, a method like one that does not exist.
            Reason::Hidden if refusal.denied().is_some() => Self::NotFound,
            reason => Self::of_reason(reason),
        }
    }

    /// The status of a row of the table.
    pub fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::CredentialMissing
            | Reason::CredentialInvalid
            | Reason::CredentialExpired
            | Reason::CredentialAmbiguous => Self::Unauthenticated,
            Reason::Forbidden
            | Reason::ObjectForbidden
            | Reason::PolicyIndeterminate
            | Reason::ContentBlocked => Self::PermissionDenied,
            Reason::BudgetExhausted
            | Reason::BodyTooLarge
            | Reason::TargetTooLong
            | Reason::HeadersTooLarge => Self::ResourceExhausted,
            Reason::UnknownRoute
            | Reason::MethodNotAllowed
            | Reason::Hidden
            | Reason::MediaTypeUnsupported => Self::Unimplemented,
            Reason::HeadTimeout | Reason::BodyTimeout | Reason::UpstreamTimeout => Self::DeadlineExceeded,
            reason => match reason.status().as_u16() {
                503 => Self::Unavailable,
                _ if matches!(reason, Reason::UpstreamUnreachable | Reason::UpstreamBroken) => {
                    Self::Unavailable
                }
                500.. => Self::Internal,
                _ => Self::InvalidArgument,
            },
        }
    }

    /// The digits, as in `grpc-status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::NotFound => "5",
            Self::PermissionDenied => "7",
            Self::ResourceExhausted => "8",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::Unauthenticated => "16",
        }
    }
}
