//! Refusals as Anthropic words them, so that its SDKs raise the exception a caller expects.

use http::StatusCode;
use portcullis_core::halt::Reason;
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Error<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    message: &'a str,
    code: &'static str,
    details: Details,
}

/// Where the newer version of the dialect has the code.
#[derive(Serialize)]
struct Details {
    error_code: &'static str,
}

/// The JSON body of a refusal or fault: Anthropic's error object with the public title, the stable code and the id of
/// the record. It quotes nothing else.
pub fn error_body(reason: Reason, record_id: &str) -> String {
    let (kind, code) = (kind(reason.status()), reason.code());
    let error = Error { r#type: kind, message: reason.title(), code, details: Details { error_code: code } };
    serde_json::to_string(&Body { r#type: "error", error, request_id: record_id }).unwrap_or_default()
}

fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reason: Reason, kind: &str) {
        let body: serde_json::Value = serde_json::from_str(&error_body(reason, "r-1\"")).unwrap();
        let error = serde_json::json!({ "type": kind, "message": reason.title(), "code": reason.code(),
            "details": { "error_code": reason.code() } });
        assert_eq!(
            body,
            serde_json::json!({ "type": "error", "error": error, "request_id": "r-1\"" }),
            "{reason:?}"
        );
    }

    #[test]
    fn types_are_those_that_sdks_know() {
        check(Reason::CredentialMissing, "authentication_error");
        check(Reason::Forbidden, "permission_error");
        check(Reason::UnknownRoute, "not_found_error");
        check(Reason::BudgetExhausted, "rate_limit_error");
        check(Reason::BodyInvalid, "invalid_request_error");
        check(Reason::BodyTooLarge, "request_too_large");
        check(Reason::ContentBlocked, "permission_error");
        check(Reason::AnswerBlocked, "api_error");
        check(Reason::Overloaded, "overloaded_error");
        check(Reason::UpstreamTimeout, "timeout_error");
    }
}
