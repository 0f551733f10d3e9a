//! From findings to a verdict. Detectors never stop anything; this does, and nothing else.

use portcullis_core::record::{Action, Finding};

/// What becomes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It may leave as it is.
    Pass,
    /// It may leave with placeholders in the place of what was found.
    Redact,
    /// It may not leave.
    Block,
}

/// The verdict on a text with these findings: the strictest that any of them calls for.
///
/// This is where observing means passing. The screening machine asks it about every single finding, the phases ask
/// it about all findings of a request or an answer.
pub fn judge(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| consequence(finding.action)).max().unwrap_or(Verdict::Pass)
}

fn consequence(action: Action) -> Verdict {
    match action {
        Action::Observe => Verdict::Pass,
        Action::Mask | Action::Tokenise | Action::Redact => Verdict::Redact,
        Action::Block => Verdict::Block,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::record::Severity;

    use super::*;

    #[test]
    fn the_strictest_action_decides_and_severity_does_not() {
        for (actions, expected) in [
            (&[][..], Verdict::Pass),
            (&[Action::Observe, Action::Observe], Verdict::Pass),
            (&[Action::Observe, Action::Redact], Verdict::Redact),
            (&[Action::Observe, Action::Mask], Verdict::Redact),
            (&[Action::Tokenise], Verdict::Redact),
            (&[Action::Redact, Action::Block, Action::Observe], Verdict::Block),
        ] {
            for severity in [Severity::Low, Severity::High] {
                let findings: Vec<Finding> = actions
                    .iter()
                    .map(|action| Finding {
                        detector: "x",
                        at: String::new(),
                        severity,
                        action: *action,
                        evidence: String::new(),
                    })
                    .collect();
                assert_eq!(judge(&findings), expected, "{actions:?}");
            }
        }
    }
}
