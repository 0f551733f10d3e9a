//! An answer for people and for programs.

use std::fmt::Write as _;

use portcullis_core::policy::{Considered, Said};
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::{Answer, Spoken, Step};

/// How many permits are shown that would have allowed a refused call.
const NEAREST: usize = 5;

impl Answer {
    fn roles(&self) -> &[SmolStr] {
        self.explanation.as_ref().map_or(&[], |explanation| &explanation.roles)
    }

    fn nearest(&self) -> Vec<&Considered> {
        let Some(explanation) = self.explanation.as_ref().filter(|_| self.outcome != "allowed") else {
            return Vec::new();
        };
        explanation.nearest().into_iter().take(NEAREST).collect()
    }

    /// What a policy would need to allow the call, in words.
    fn needs(&self, one: &Considered) -> Vec<String> {
        let mut needs = Vec::new();
        if !one.is_for_caller {
            needs.push(match &one.role {
                Some(role) => match self.holders.get(role).filter(|holders| !holders.is_empty()) {
                    Some(holders) => format!("the role `{role}`, had by {}", holders.join(" or ")),
                    None => format!("the role `{role}`"),
                },
                None => format!("another caller: `{}`", one.whom),
            });
        }
        for part in one.parts.iter().filter(|part| part.said != Said::Holds) {
            let what = match part.said {
                Said::Errs => "without an error",
                Said::Unknown => "not known from the record",
                Said::Holds | Said::Fails => "true",
            };
            needs.push(format!("`{}` {what}", part.text));
        }
        needs
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.call, self.outcome);
        // A String takes whatever is written to it: there is no error to look at, here and below.
        if let Some(detail) = &self.detail {
            let _ = writeln!(out, "  because     {detail}");
        }
        if let Some(action) = &self.action {
            let _ = writeln!(out, "  operation   {action}");
        }
        if !self.roles().is_empty() {
            let _ = writeln!(out, "  roles       {}", self.roles().join(", "));
        }
        if !self.decided_by.is_empty() {
            let _ = writeln!(out, "  decided by  {}", self.decided_by.join(", "));
        }
        out.push_str("\nthe path: + passes, - refuses, ? not asked, . not reached\n");
        for step in &self.steps {
            let line = format!("  {} {:9}  {}", step.sign(), step.phase, step.detail);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let Some(explanation) = &self.explanation else { return out };
        let _ = writeln!(out, "\npolicies about the operation: {}", explanation.considered.len());
        for one in &explanation.considered {
            let effect = if one.forbids { "forbid" } else { "permit" };
            let said = match (one.is_for_caller, one.said()) {
                (false, _) => "not about the caller",
                (true, Said::Holds) => "applies",
                (true, Said::Fails) => "does not apply",
                (true, Said::Errs) => "errs",
                (true, Said::Unknown) => "not known",
            };
            let _ = writeln!(out, "  {effect} {}: {said}", one.policy);
            let sign = if one.is_for_caller { "+" } else { "-" };
            let _ = writeln!(out, "    {sign} {}", one.whom);
            for part in one.parts.iter().filter(|_| one.is_for_caller) {
                let sign = match part.said {
                    Said::Holds => "+",
                    Said::Fails => "-",
                    Said::Errs => "!",
                    Said::Unknown => "?",
                };
                let values: Vec<String> =
                    part.values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                let _ = writeln!(out, "    {sign} {}", part.text);
                if !values.is_empty() {
                    let _ = writeln!(out, "        {}", values.join(", "));
                }
            }
        }
        self.changes(&mut out);
        out
    }

    fn changes(&self, out: &mut String) {
        let Some(explanation) = self.explanation.as_ref().filter(|_| self.outcome != "allowed") else {
            return;
        };
        let forbidding = explanation.forbidding();
        // Where policy let it pass, another phase ended it, and no policy would change that.
        let is_policy = |step: &&Step| step.phase == "authorize";
        let is_permitted = self.steps.iter().find(is_policy).is_some_and(|step| step.said == Spoken::Passes);
        if !is_permitted && forbidding.is_empty() && self.nearest().is_empty() {
            out.push_str("\nnothing would allow it: no policy is about this operation\n");
            return;
        }
        out.push_str("\nwhat would change the answer:\n");
        for step in self.steps.iter().filter(|step| step.said == Spoken::Refuses && step.phase != "authorize")
        {
            let _ = writeln!(out, "  {} must pass: {}", step.phase, step.detail);
        }
        if is_permitted {
            return;
        }
        for one in forbidding {
            let _ = writeln!(out, "  {} must no longer apply: it stands above every permit", one.policy);
        }
        for one in self.nearest() {
            let _ = writeln!(out, "  {} needs {}", one.policy, self.needs(one).join("; and "));
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let nearest: Vec<Value> = self
            .nearest()
            .into_iter()
            .map(|one| json!({ "policy": one.policy, "needs": self.needs(one) }))
            .collect();
        json!({
            "call": self.call,
            "outcome": self.outcome,
            "detail": self.detail,
            "action": self.action,
            "path": self.steps,
            "roles": self.roles(),
            "decided_by": self.decided_by,
            "considered": self.explanation.as_ref().map(|explanation| &explanation.considered),
            "would_allow": nearest,
        })
    }
}
