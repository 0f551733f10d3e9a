//! What was proven, and what was not.

use std::fmt::Write as _;

use cedar_policy_symcc::Env;
use serde::Serialize;
use smol_str::SmolStr;

/// Everything that was asked, and what came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Policies, those of the roles file among them.
    pub policies: usize,
    /// Operations.
    pub operations: usize,
    /// How often the solver was asked, or could have been: some questions answer themselves.
    pub questions: u64,
    /// What is not as it should be, or could be less.
    pub findings: Vec<Finding>,
    /// Pairs of roles: whatever the first may do, the second may do as well, and no inclusion says so.
    pub implied: Vec<(SmolStr, SmolStr)>,
    /// Claims that hold.
    pub held: Vec<(SmolStr, SmolStr)>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// The policy, the operation or the role that it is about.
    pub about: SmolStr,
    /// What, in a sentence.
    pub message: String,
    /// A request that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<Counterexample>,
}

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There is a request for which the policy errs, which refuses it.
    MayErr,
    /// There is no request to which the policy applies.
    NeverApplies,
    /// Nobody can call the operation.
    AlwaysDenied,
    /// Another policy says as much, or more.
    Redundant,
    /// Another policy says the same.
    Equivalent,
    /// A claim does not hold.
    NotImplied,
    /// The solver gave up.
    Undecided,
}

impl Kind {
    /// Whether something must be done about it; otherwise it is worth knowing.
    pub fn is_failure(self) -> bool {
        match self {
            Self::MayErr | Self::NeverApplies | Self::NotImplied | Self::Undecided => true,
            Self::AlwaysDenied | Self::Redundant | Self::Equivalent => false,
        }
    }
}

/// A request that breaks what was to be proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counterexample {
    /// Who calls.
    pub principal: String,
    /// What is called.
    pub action: String,
    /// The rest of the request and the entities that matter, as Cedar writes them.
    pub circumstances: Vec<String>,
}

impl Counterexample {
    pub(crate) fn new(found: &Env) -> Self {
        let request = &found.request;
        let said = |uid: Option<&cedar_policy::EntityUid>| uid.map_or_else(String::new, ToString::to_string);
        let text = found.to_string();
        // The first line says principal, action and resource again; and what the schema declares is in every answer.
        let is_declared = |line: &str| {
            let line = line.trim_start();
            ["Action::", "Api::", "Model::"].iter().any(|kind| line.starts_with(kind))
        };
        let lines = text.lines().skip(1).map(str::trim_end).filter(|line| !is_declared(line));
        let mut circumstances: Vec<String> = lines.map(str::to_owned).collect();
        if circumstances.ends_with(&["entities: [".to_owned(), "]".to_owned()]) {
            circumstances.truncate(circumstances.len().saturating_sub(2));
        }
        Self { principal: said(request.principal()), action: said(request.action()), circumstances }
    }
}

impl Report {
    /// Whether everything that must hold was proven.
    pub fn is_proven(&self) -> bool {
        !self.findings.iter().any(|finding| finding.kind.is_failure())
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let word = if finding.kind.is_failure() { "not proven" } else { "note" };
            // A String takes whatever is written to it: there is no error to look at, here and below.
            let _ = writeln!(out, "{word}: {}", finding.message);
            if let Some(example) = &finding.counterexample {
                let _ = writeln!(out, "  for example {} calls {}", example.principal, example.action);
                example.circumstances.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
            }
        }
        for (role, other) in &self.implied {
            let _ = writeln!(out, "note: whatever the role `{role}` may do, `{other}` may do as well");
        }
        for (role, other) in &self.held {
            let _ = writeln!(out, "proven: whatever the role `{role}` may do, `{other}` may do as well");
        }
        let failures = self.findings.iter().filter(|finding| finding.kind.is_failure()).count();
        let erring =
            self.findings.iter().any(|finding| matches!(finding.kind, Kind::MayErr | Kind::Undecided));
        if !erring {
            out.push_str("proven: no policy can err\n");
        }
        let _ = writeln!(
            out,
            "{} policies, {} operations, {} questions: {failures} not proven",
            self.policies, self.operations, self.questions
        );
        out
    }
}
