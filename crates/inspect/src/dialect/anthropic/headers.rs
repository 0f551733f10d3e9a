//! Headers that decide which fields exist, and whose account is used.

use http::HeaderMap;
use portcullis_core::halt::{Halt, Reason, Violation};

use crate::dialect::ModelRules;

/// What a client may always say: which version it speaks (the contract says which there are), and that it is a page.
const OPEN: [&str; 2] = ["anthropic-version", "anthropic-dangerous-direct-browser-access"];

/// Takes the headers of a request. Proves that none of them asks the provider for what the operator did not write: a
/// beta brings fields that the contract does not have, and an account's workspace is not the client's to choose.
///
/// # Errors
/// [`Reason::ParameterInvalid`].
pub fn inspect_headers(rules: &ModelRules, headers: &HeaderMap) -> Result<(), Halt> {
    // PERF: few requests have any of them but the version.
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("anthropic-")) {
        if OPEN.contains(&name.as_str()) {
            continue;
        }
        let is_listed = |beta: &str| rules.betas.iter().any(|listed| **listed == *beta);
        let is_open = name == "anthropic-beta"
            && value.to_str().is_ok_and(|all| {
                all.split(',').map(str::trim).all(|beta| beta.is_empty() || is_listed(beta))
            });
        if !is_open {
            let (at, message) = (format!("header:{name}"), "this is not open to clients".to_owned());
            return Err(Halt::new(Reason::ParameterInvalid, format!("{name}: {value:?}"))
                .with_violations(vec![Violation { at, message }]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn check(betas: &[&str], sent: &[(&'static str, &'static str)], is_open: bool) {
        let rules = ModelRules {
            betas: betas.iter().map(|beta| Box::from(*beta)).collect(),
            ..ModelRules::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let result = inspect_headers(&rules, &headers);
        assert_eq!(result.is_ok(), is_open, "{betas:?} {sent:?}");
        if let Err(halt) = result {
            assert_eq!(halt.reason(), Some(Reason::ParameterInvalid));
        }
    }

    #[test]
    fn betas_are_those_that_the_operator_lists() {
        check(&[], &[("anthropic-version", "2023-06-01"), ("x-stainless-lang", "python")], true);
        check(&[], &[("anthropic-beta", "files-api-2025-04-14")], false);
        let listed = &["files-api-2025-04-14", "b-2026-01-01"];
        check(listed, &[("anthropic-beta", "files-api-2025-04-14, b-2026-01-01")], true);
        check(
            listed,
            &[("anthropic-beta", "files-api-2025-04-14"), ("anthropic-beta", "b-2026-01-01")],
            true,
        );
        check(listed, &[("anthropic-beta", "files-api-2025-04-14,c")], false);
        check(listed, &[("anthropic-beta", "b-2026-01-01"), ("anthropic-beta", "c")], false);
        check(listed, &[("anthropic-beta", "files-api-2025-04-14;b-2026-01-01")], false);
    }

    #[test]
    fn accounts_are_the_operators() {
        check(&["x"], &[("anthropic-workspace-id", "x")], false);
        check(&["x"], &[("anthropic-user-profile-id", "x")], false);
        check(&["x"], &[("anthropic-new", "x")], false);
        check(&[], &[("anthropic-dangerous-direct-browser-access", "true")], true);
    }
}
