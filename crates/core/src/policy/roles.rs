//! How roles reach Cedar: who has which, and which stand for others too.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::identify::Identity;
use crate::roles::Book;

/// Which roles a role stands for besides itself, closed under inheritance.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    direct: FxHashMap<SmolStr, Vec<SmolStr>>,
    inherited: FxHashMap<SmolStr, Vec<SmolStr>>,
    /// Who has which role; without it, what the issuer calls roles and groups are the roles.
    book: Option<Arc<Book>>,
}

/// A role that inherits itself, by way of others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("role `{0}` inherits from itself")]
pub struct RoleCycle(pub SmolStr);

impl Roles {
    /// Takes each role with the roles it directly inherits; a name may occur more than once.
    ///
    /// # Errors
    /// A role that inherits from itself, directly or not.
    pub fn new<'r>(direct: impl IntoIterator<Item = (&'r str, Vec<&'r str>)>) -> Result<Self, RoleCycle> {
        let mut parents: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
        for (role, inherits) in direct {
            parents.entry(role).or_default().extend(inherits);
        }
        let mut inherited = FxHashMap::default();
        for role in parents.keys() {
            let closed = closure(role, &parents);
            if closed.contains(role) {
                return Err(RoleCycle(SmolStr::new(role)));
            }
            inherited.insert(SmolStr::new(role), closed.into_iter().map(SmolStr::new).collect());
        }
        let owned = |(role, parents): (&&str, &Vec<&str>)| {
            (SmolStr::new(role), parents.iter().map(SmolStr::new).collect())
        };
        let direct = parents.iter().map(owned).collect();
        Ok(Self { direct, inherited, book: None })
    }

    /// The same roles, had by whoever the book says, and by nobody else.
    #[must_use]
    pub fn held_as(self, book: Arc<Book>) -> Self {
        Self { book: Some(book), ..self }
    }

    /// The book that says who has which role.
    pub fn book(&self) -> Option<&Book> {
        self.book.as_deref()
    }

    /// The roles that an identity has directly, without those that they inherit.
    pub fn held(&self, identity: &Identity) -> Vec<SmolStr> {
        match &self.book {
            None => identity.roles.iter().map(|role| SmolStr::new(&**role)).collect(),
            Some(book) => {
                let held = book.roles.iter().filter(|role| role.is_held_by(identity));
                held.map(|role| role.name.clone()).collect()
            }
        }
    }

    /// All roles that `role` inherits, without itself.
    pub fn inherited(&self, role: &str) -> &[SmolStr] {
        self.inherited.get(role).map_or(&[], Vec::as_slice)
    }

    /// Every role that inherits another, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = &SmolStr> {
        self.inherited.keys()
    }

    /// Every role with what it inherits directly, as it was given.
    pub(super) fn direct(&self) -> impl Iterator<Item = (&SmolStr, &Vec<SmolStr>)> {
        self.direct.iter()
    }
}

fn closure<'r>(role: &str, parents: &FxHashMap<&'r str, Vec<&'r str>>) -> Vec<&'r str> {
    let mut found: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = parents.get(role).cloned().unwrap_or_default();
    while let Some(next) = open.pop() {
        if !found.contains(&next) {
            found.push(next);
            open.extend(parents.get(next).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inheritance_is_closed_and_never_circular() {
        let roles =
            Roles::new([("a", vec!["b", "c"]), ("b", vec!["d"]), ("c", vec!["d"]), ("x", vec![])]).unwrap();
        let sorted = |role: &str| {
            let mut all = roles.inherited(role).to_vec();
            all.sort();
            all
        };
        assert_eq!(sorted("a"), ["b", "c", "d"]);
        assert_eq!(sorted("b"), ["d"]);
        assert!(sorted("d").is_empty() && sorted("x").is_empty() && sorted("nobody").is_empty());
        assert!(Roles::new([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"])]).is_err());
        assert_eq!(Roles::new([("a", vec!["a"])]).unwrap_err(), RoleCycle("a".into()));
    }
}
