//! Refusals as OpenAI words them, so that its SDKs raise the exception a caller expects.

use http::StatusCode;
use portcullis_core::halt::Reason;
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
    record: &'a str,
}

/// The JSON body of a refusal or fault: OpenAI's error object with the public title, the stable code and the id of
/// the record. It quotes nothing else.
pub fn error_body(reason: Reason, record_id: &str) -> String {
    let error = Error {
        message: reason.title(),
        r#type: kind(reason.status()),
        param: None,
        code: reason.code(),
        record: record_id,
    };
    serde_json::to_string(&Body { error }).unwrap_or_default()
}

fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reason: Reason, kind: &str) {
        let body: serde_json::Value = serde_json::from_str(&error_body(reason, "r-1\"")).unwrap();
        assert_eq!(body["error"]["type"], kind, "{reason:?}");
        assert_eq!(body["error"]["code"], reason.code());
        assert_eq!(body["error"]["message"], reason.title());
        assert_eq!(body["error"]["param"], serde_json::Value::Null);
        assert_eq!(body["error"]["record"], "r-1\"");
    }

    #[test]
    fn types_are_those_that_sdks_know() {
        check(Reason::CredentialMissing, "authentication_error");
        check(Reason::Forbidden, "permission_error");
        check(Reason::UnknownRoute, "not_found_error");
        check(Reason::BudgetExhausted, "rate_limit_error");
        check(Reason::BodyInvalid, "invalid_request_error");
        check(Reason::ContentBlocked, "permission_error");
        check(Reason::AnswerBlocked, "server_error");
        check(Reason::Overloaded, "server_error");
    }
}
