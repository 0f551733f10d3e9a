//! A review for people, on a terminal and in a browser.

use std::fmt::Write as _;

use super::page::{begin, escaped, listed, row, table};
use super::{End, GrantUse, Review, WaiverReview};

impl GrantUse {
    fn state(&self) -> &'static str {
        match (self.used, self.end, self.unused_operations.is_empty()) {
            (_, Some(End::Ended), _) => "ended",
            (0, _, _) => "never used",
            (_, Some(_), _) => "ends soon",
            (_, None, false) => "partly used",
            (_, None, true) => "used",
        }
    }

    fn note(&self) -> String {
        let mut notes = Vec::new();
        if let Some(until) = &self.until {
            notes.push(format!("until {until}"));
        }
        if self.used > 0 && !self.unused_operations.is_empty() {
            notes.push(format!("never {}", self.unused_operations.join(", ")));
        }
        if self.used == 0
            && let Some(last) = &self.last_used
        {
            notes.push(format!("last {last}"));
        }
        if let Some(reason) = &self.reason {
            notes.push(reason.clone());
        }
        if let Some(by) = &self.by {
            notes.push(format!("by {by}"));
        }
        notes.join("; ")
    }
}

impl WaiverReview {
    fn state(&self) -> &'static str {
        match self.end {
            Some(End::Ended) => "ended",
            Some(End::Soon) => "ends soon",
            None if self.is_new => "new",
            None => "holds",
        }
    }

    fn author(&self) -> &str {
        self.by.as_deref().unwrap_or("nobody is named")
    }

    fn end(&self) -> String {
        self.until.as_deref().map_or_else(|| "no end".to_owned(), |until| format!("until {until}"))
    }
}

impl Review {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A String takes whatever is written to it: there is no error to look at, here and below.
        let _ = writeln!(out, "records counted: {}, from {} to {}", self.records, self.from, self.at);
        if let Some(since) = &self.recorded_since {
            let _ = writeln!(out, "the oldest record is of {since}");
        }
        if self.unreadable > 0 {
            let _ = writeln!(out, "{} lines are no records", self.unreadable);
        }
        let width = self.grants.iter().map(|one| one.id.chars().count()).max().unwrap_or(0).max(5);
        let head = format!("{:width$}  {:11}  {:>7}  {:>7}", "grant", "state", "uses", "callers");
        let _ = writeln!(out, "\n  {head}");
        for one in &self.grants {
            let id = one.id.as_str();
            let line = format!(
                "  {id:width$}  {:11}  {:>7}  {:>7}  {}",
                one.state(),
                one.used,
                one.callers,
                one.note()
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if !self.policies.is_empty() {
            out.push_str("\ncedar permits, by how often each allowed a call\n");
            for (id, count) in &self.policies {
                let _ = writeln!(out, "  {id}  {count}");
            }
        }
        out.push_str("\ncallers\n");
        for one in &self.principals {
            let _ = writeln!(out, "  {}  roles {}; last {}", one.principal, listed(&one.roles), one.last);
            let used: Vec<String> = one.used.iter().map(|(id, count)| format!("{id} {count}")).collect();
            let _ = writeln!(out, "    used   {}", listed(&used));
            let _ = writeln!(out, "    unused {}", listed(&one.unused));
            if !one.unused_roles.is_empty() {
                let _ = writeln!(out, "    roles never used: {}", listed(&one.unused_roles));
            }
        }
        if !self.waivers.is_empty() {
            out.push_str("\nwaivers\n");
            for one in &self.waivers {
                let _ = writeln!(out, "  {}: {}", one.state(), one.of);
                let _ =
                    writeln!(out, "    {}; by {}; {}; {}", one.end(), one.author(), one.place, one.reason);
            }
        }
        if !self.grew.is_empty() {
            out.push_str("\nrights that grew\n");
            for one in &self.grew {
                let reason = if one.has_reason { "" } else { " (no reason written)" };
                let _ = writeln!(out, "  {} {}{reason}", one.role, one.what);
            }
        }
        if !self.failures.is_empty() {
            out.push_str("\nto be done\n");
            self.failures.iter().for_each(|one| out.push_str(&format!("  {one}\n")));
        }
        if !self.patch.is_empty() {
            let _ = write!(out, "\na narrower roles file\n{}", self.patch);
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// One page for a browser; it loads nothing and runs nothing.
    pub fn html(&self) -> String {
        let mut out = begin("Access review");
        let _ = writeln!(
            out,
            "<p>{} records from {} to {}.</p>",
            self.records,
            escaped(&self.from),
            escaped(&self.at)
        );
        if !self.failures.is_empty() {
            let items: Vec<String> =
                self.failures.iter().map(|one| format!("<li>{}</li>", escaped(one))).collect();
            let _ = writeln!(out, "<h2>To be done</h2>\n<ul>{}</ul>", items.concat());
        }
        let grants = self.grants.iter().map(|one| {
            let class = one.state().split(' ').next().unwrap_or_default();
            let (used, callers) = (one.used.to_string(), one.callers.to_string());
            row(class, &[one.id.as_str(), one.state(), &used, &callers, &one.note()])
        });
        table(&mut out, "Grants", &["grant", "state", "uses", "callers", "notes"], grants);
        let policies = self.policies.iter().map(|(id, count)| row("", &[id.as_str(), &count.to_string()]));
        table(&mut out, "Cedar permits", &["policy", "allowed"], policies);
        let principals = self.principals.iter().map(|one| {
            let used: Vec<String> = one.used.iter().map(|(id, count)| format!("{id} {count}")).collect();
            row("", &[&one.principal, &listed(&one.roles), &listed(&used), &listed(&one.unused), &one.last])
        });
        table(&mut out, "Callers", &["caller", "roles", "used", "unused", "last"], principals);
        let waivers = self.waivers.iter().map(|one| {
            let class = one.state().split(' ').next().unwrap_or_default();
            row(class, &[&one.of, one.state(), one.author(), &one.reason, &one.end(), &one.place])
        });
        table(&mut out, "Waivers", &["waiver", "state", "by", "reason", "end", "place"], waivers);
        let grew = self.grew.iter().map(|one| {
            row("", &[one.role.as_str(), &one.what, if one.has_reason { "written" } else { "missing" }])
        });
        table(&mut out, "Rights that grew", &["role", "right", "reason"], grew);
        if !self.patch.is_empty() {
            let _ = writeln!(out, "<h2>A narrower roles file</h2>\n<pre>{}</pre>", escaped(&self.patch));
        }
        out.push_str("</html>\n");
        out
    }
}
