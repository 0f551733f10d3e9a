//! Roles by operations: what the policies of a gate allow whom, as far as it can be said without a request.

use serde::Serialize;
use smol_str::SmolStr;

use super::Policy;

/// Who may call what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// All operations.
    pub actions: Vec<SmolStr>,
    /// Callers without credentials, callers with a token and no role, and each role.
    pub rows: Vec<Row>,
}

/// What one kind of caller may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `anonymous`, `any token`, or the name of a role.
    pub who: SmolStr,
    /// Whether it is a role.
    pub is_role: bool,
    /// One cell for each operation, in their order.
    pub cells: Vec<Cell>,
}

/// Whether one kind of caller may call one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// What it comes to.
    pub answer: Answer,
    /// The policies that make it so: permits where there is no forbid without a condition.
    pub policies: Vec<SmolStr>,
}

/// What a cell comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing allows it.
    #[default]
    No,
    /// Something allows it under a condition, or something may forbid it under one.
    If,
    /// It is allowed.
    Yes,
    /// It is forbidden, whatever allows it.
    Never,
}

impl Answer {
    /// One short word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "-",
            Self::If => "if",
            Self::Yes => "yes",
            Self::Never => "never",
        }
    }
}

/// A policy whose scope admits a caller and an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touching {
    pub(super) index: u32,
    pub(super) forbids: bool,
    pub(super) is_narrowed: bool,
}

impl Policy {
    /// Who may call what.
    pub fn matrix(&self) -> Matrix {
        let mut callers = vec![("anonymous".into(), false, None), ("any token".into(), false, Some(None))];
        callers
            .extend(self.engine.role_names().into_iter().map(|name| (name.clone(), true, Some(Some(name)))));
        let rows = callers.into_iter().map(|(who, is_role, role)| {
            let cells = (0..self.specs.len()).map(|action| {
                let touching = match &role {
                    None => self.engine.touching_anonymous(action),
                    Some(role) => self.engine.touching_role(action, role.as_deref()),
                };
                self.cell(&touching)
            });
            Row { who, is_role, cells: cells.collect() }
        });
        Matrix { rows: rows.collect(), actions: self.specs.iter().map(super::ActionSpec::name).collect() }
    }

    fn cell(&self, touching: &[Touching]) -> Cell {
        let ids = |wanted: &dyn Fn(&Touching) -> bool| {
            let indexes: Vec<u32> = touching.iter().filter(|one| wanted(one)).map(|one| one.index).collect();
            self.ids(&indexes)
        };
        let never = ids(&|one| one.forbids && !one.is_narrowed);
        if !never.is_empty() {
            return Cell { answer: Answer::Never, policies: never };
        }
        let permits = ids(&|one| !one.forbids);
        if permits.is_empty() {
            return Cell::default();
        }
        let is_plain = touching.iter().any(|one| !one.forbids && !one.is_narrowed);
        let may_be_forbidden = touching.iter().any(|one| one.forbids);
        let answer = if is_plain && !may_be_forbidden { Answer::Yes } else { Answer::If };
        Cell { answer, policies: permits }
    }
}
