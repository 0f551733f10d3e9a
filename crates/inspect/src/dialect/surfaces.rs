//! Where text stands in a request, and who wrote it: one table for each endpoint.

use rustc_hash::FxHashMap;

/// How a field is screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Text.
    Text,
    /// A list of parts or a text; parts that are text are also screened as the one text that the model reads.
    Parts,
    /// JSON written as text.
    JsonText,
    /// JSON of the client's own shape: every string and every name in it is text.
    Tree,
    /// A link, which is text, or a document inside a `data:` URL.
    Link,
    /// Text, unless the `type` beside it says that it is in base64: then it is such a document.
    Source,
    /// A document in base64 or a `data:` URL: what is text in it is read, other formats are not.
    Data,
    /// An encoded sound: its media type is looked at and nothing of it is read.
    Encoded,
    /// What a provider encrypted and only a provider reads.
    Sealed,
    /// A value that the contract enumerates: nothing to read.
    Nothing,
}

/// Who wrote the text of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Whoever wrote the message that it stands in.
    Author,
    /// The client's user.
    User,
    /// Somebody that nobody here knows: a document, a tool, a description of one.
    Document,
    /// A name or a setting, which is no prose: detectors read it, but nobody asks whether it gives orders.
    Setting,
}

/// A field: its path, with `*` for any element, what stands there, and who wrote it.
pub(crate) type Row = (&'static str, Surface, Origin);

/// What a table knows of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Field(Surface, Origin),
    /// Only on the way to fields.
    Way,
}

/// Every field of a request. What is not in it is screened like [`Surface::Tree`], so a field that is forgotten is
/// read and not missed.
#[derive(Debug)]
pub(crate) struct Table(FxHashMap<Box<str>, Known>);

impl Table {
    /// The ways to all fields; what may have members of any name ends in `/*`.
    pub(crate) fn ways(rows: &[(impl AsRef<str>, Surface, Origin)]) -> Vec<String> {
        let way = |(path, surface, _): &(_, Surface, Origin)| {
            let path: &str = AsRef::as_ref(path);
            if *surface == Surface::Tree { format!("{path}/*") } else { path.to_owned() }
        };
        rows.iter().map(way).collect()
    }

    pub(crate) fn new(rows: &[(impl AsRef<str>, Surface, Origin)]) -> Self {
        let mut known = FxHashMap::default();
        for (path, surface, origin) in rows {
            let path = path.as_ref();
            for (at, _) in path.match_indices('/').skip(1) {
                known.entry(path.split_at(at).0.into()).or_insert(Known::Way);
            }
            known.insert(path.into(), Known::Field(*surface, *origin));
        }
        Self(known)
    }

    /// Looks up a path of the table's form; `None` for what the table does not know.
    pub(crate) fn lookup(&self, path: &str) -> Option<Known> {
        self.0.get(path).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Collects the paths of all fields that `schema` allows, and of those the ones that may hold free text.
    fn fields(
        document: &Value,
        schema: &Value,
        path: &str,
        all: &mut BTreeSet<String>,
        free: &mut BTreeSet<String>,
    ) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
            return fields(document, target, path, all, free);
        }
        for choice in
            ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| schema.get(*name)?.as_array()).flatten()
        {
            fields(document, choice, path, all, free);
        }
        let kinds = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let is_open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
        let is_free =
            kinds.contains(&"string") && schema.get("enum").is_none() && schema.get("const").is_none();
        if is_free || is_open {
            free.insert(path.to_owned());
        }
        if let Some(items) = schema.get("items") {
            fields(document, items, &format!("{path}/*"), all, free);
        } else if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, schema) in properties {
                fields(document, schema, &format!("{path}/{name}"), all, free);
            }
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{path} must be closed");
        } else if kinds.iter().any(|kind| *kind != "null") {
            all.insert(path.to_owned());
        }
    }

    /// Holds a table against the schema of a contract: every field has a row, every row is a field, and all free text
    /// but what is `encoded` is read.
    pub(crate) fn check_table(
        contract: &str,
        schema: &str,
        rows: &[(impl AsRef<str>, Surface, Origin)],
        encoded: &[&str],
    ) {
        let document: Value = serde_json::from_str(contract).unwrap();
        let request = &document["components"]["schemas"][schema];
        assert!(request.is_object(), "{schema} is in the contract");
        let table = Table::new(rows);
        let is_tree = |path: &str| matches!(table.lookup(path), Some(Known::Field(Surface::Tree, _)));
        let (mut all, mut free) = (BTreeSet::new(), BTreeSet::new());
        fields(&document, request, "", &mut all, &mut free);
        let mut expected: BTreeSet<_> = all.iter().map(String::as_str).collect();
        expected.extend(free.iter().map(String::as_str).filter(|path| is_tree(path)));
        let under_tree =
            |path: &str| free.iter().any(|tree| is_tree(tree) && path.starts_with(&format!("{tree}/")));
        let paths: BTreeSet<_> = rows.iter().map(|(path, ..)| path.as_ref()).collect();
        assert_eq!(rows.len(), paths.len(), "a path stands twice");
        let missing: Vec<_> = expected.difference(&paths).filter(|path| !under_tree(path)).collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
        // A list that cannot be a text has a row of its own only to be read as one text.
        let is_list = |path: &str| {
            matches!(table.lookup(path), Some(Known::Field(Surface::Parts, _)))
                && expected.iter().any(|field| field.starts_with(&format!("{path}/*/")))
        };
        let stale: Vec<_> = paths.difference(&expected).filter(|path| !is_list(path)).collect();
        assert!(stale.is_empty(), "not in the contract: {stale:?}");
        for path in free.iter().filter(|path| !under_tree(path)) {
            let is_read = !matches!(
                table.lookup(path),
                Some(Known::Field(Surface::Nothing | Surface::Encoded | Surface::Sealed, _))
            );
            assert_eq!(is_read, !encoded.contains(&path.as_str()), "{path}");
        }
    }
}
