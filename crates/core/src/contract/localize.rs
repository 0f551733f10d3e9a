//! References by `$id`, `$anchor` and `$dynamicRef` (JSON Schema 2020-12 section 8.2), rewritten at load to JSON
//! pointers into the document. Nothing is ever fetched: what leads out of the document stays as it is written and is
//! refused later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::document::Document;
use super::problem::joined;

/// What a document without an address of its own is called while references are resolved.
const HERE: &str = "document://here/";

/// The schema resources of a document by their pointers, each with its dynamic anchors: names, and their pointers.
pub(super) type Resources = BTreeMap<String, BTreeMap<String, String>>;

/// Rewrites the references of `root` that need more than a pointer. Returns its schema resources where a
/// `$dynamicRef` is left whose meaning depends on the way that led to it; else nothing.
pub(super) fn localize(root: &mut Value) -> Resources {
    if !needs_it(root) {
        return Resources::new();
    }
    let mut index = Index::default();
    index.bases.insert(HERE.to_owned(), String::new());
    index.walk(root, "", HERE, Context::Object);
    rewrite(root, &index, HERE, Context::Object);
    let mut resources = Resources::new();
    for (address, pointer) in &index.bases {
        let own = index.dynamic.iter().filter(|(of, _)| of == address);
        let own = own.filter_map(|key| Some((key.1.clone(), index.anchors.get(key)?.clone())));
        resources.insert(pointer.clone(), own.collect());
    }
    resources
}

/// What is meant by the dynamic anchors of `scope` once the schema at `pointer` was entered: who came first counts.
pub(super) fn entered(resources: &Resources, scope: &Scope, pointer: &str) -> Scope {
    let mut scope = scope.clone();
    let mut prefix = pointer;
    let anchors = loop {
        if let Some(anchors) = resources.get(prefix) {
            break anchors;
        }
        match prefix.rsplit_once('/') {
            Some((above, _)) => prefix = above,
            None => return scope,
        }
    };
    for (name, pointer) in anchors {
        scope.entry(name.clone()).or_insert_with(|| pointer.clone());
    }
    scope
}

/// The scope after `pointer` and all that a chain of references from there passes.
pub(super) fn entered_by(document: &Document, scope: Scope, pointer: &str) -> Scope {
    if document.resources.is_empty() {
        return scope;
    }
    let mut scope = entered(&document.resources, &scope, pointer);
    let mut at = document.at(pointer).and_then(|schema| document.alias(schema));
    for _ in 0..64 {
        let Some(pointer) = at else { break };
        scope = entered(&document.resources, &scope, &pointer);
        at = document.at(&pointer).and_then(|schema| document.alias(schema));
    }
    scope
}

/// A pointer without the scope that may stand before it, as JSON.
pub(super) fn scoped(pointer: &str) -> Option<(Scope, &str)> {
    if !pointer.starts_with('{') {
        return Some((Scope::new(), pointer));
    }
    let mut stream = serde_json::Deserializer::from_str(pointer).into_iter::<Scope>();
    let scope = stream.next()?.ok()?;
    Some((scope, pointer.get(stream.byte_offset()..)?))
}

/// Dynamic anchors and what they mean at one point of an evaluation.
pub(super) type Scope = BTreeMap<String, String>;

/// Whether any object says `$id`, `$dynamicRef` or an anchor.
fn needs_it(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().any(needs_it),
        Value::Object(object) => {
            ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef"].iter().any(|key| object.contains_key(*key))
                || object.values().any(needs_it)
        }
        _ => false,
    }
}

/// How the members of an object are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// As keywords.
    Object,
    /// As names that the document gives.
    Names,
}

/// What the value of the keyword `key` holds; `None` for values that are data.
fn below(context: Context, key: &str) -> Option<Context> {
    if context == Context::Names {
        return Some(Context::Object);
    }
    match key {
        "enum" | "const" | "default" | "example" | "examples" | "mapping" => None,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "schemas"
        | "parameters" | "responses" | "requestBodies" | "headers" | "content" | "encoding" | "callbacks"
        | "pathItems" | "paths" | "webhooks" | "securitySchemes" | "links" => Some(Context::Names),
        key if key.starts_with("x-") => None,
        _ => Some(Context::Object),
    }
}

#[derive(Default)]
struct Index {
    /// Address of a schema resource, and its pointer.
    bases: HashMap<String, String>,
    /// Address and anchor, and the pointer.
    anchors: HashMap<(String, String), String>,
    /// Address and dynamic anchor.
    dynamic: BTreeSet<(String, String)>,
}

impl Index {
    fn walk(&mut self, value: &Value, at: &str, base: &str, context: Context) {
        match value {
            Value::Array(all) => {
                for (number, one) in all.iter().enumerate() {
                    self.walk(one, &joined(at, &number.to_string()), base, Context::Object);
                }
            }
            Value::Object(object) => {
                let own = own_base(object, base, context);
                let base = own.as_deref().unwrap_or(base);
                if own.is_some() {
                    self.bases.entry(base.to_owned()).or_insert_with(|| at.to_owned());
                }
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(name) =
                        object.get(key).and_then(Value::as_str).filter(|_| context == Context::Object)
                    {
                        let name = (base.to_owned(), name.to_owned());
                        if key == "$dynamicAnchor" {
                            self.dynamic.insert(name.clone());
                        }
                        self.anchors.entry(name).or_insert_with(|| at.to_owned());
                    }
                }
                for (key, value) in object {
                    if let Some(context) = below(context, key) {
                        self.walk(value, &joined(at, key), base, context);
                    }
                }
            }
            _ => {}
        }
    }

    /// The pointer that `reference` means below `base`; `None` where it leads nowhere or out.
    fn pointer(&self, base: &str, reference: &str) -> Option<String> {
        let (address, fragment) = self.parted(base, reference);
        let root = self.bases.get(&address)?;
        let fragment = percent_decode_str(&fragment).decode_utf8().ok()?;
        if fragment.is_empty() {
            return Some(root.clone());
        }
        if fragment.starts_with('/') {
            return Some(format!("{root}{fragment}"));
        }
        self.anchors.get(&(address, fragment.into_owned())).cloned()
    }

    fn parted(&self, base: &str, reference: &str) -> (String, String) {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        (resolved(base, address), fragment.to_owned())
    }

    /// Whether `$dynamicRef` means the same whatever led there.
    fn is_static(&self, base: &str, reference: &str) -> bool {
        let (address, fragment) = self.parted(base, reference);
        let is_alone = || self.dynamic.iter().filter(|(_, name)| *name == fragment).count() == 1;
        !self.dynamic.contains(&(address, fragment.clone())) || is_alone()
    }
}

fn own_base(object: &Map<String, Value>, base: &str, context: Context) -> Option<String> {
    let id = object.get("$id").and_then(Value::as_str).filter(|_| context == Context::Object)?;
    Some(resolved(base, id.split('#').next().unwrap_or_default()))
}

fn rewrite(value: &mut Value, index: &Index, base: &str, context: Context) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| rewrite(one, index, base, Context::Object)),
        Value::Object(object) => {
            let own = own_base(object, base, context);
            let base = own.as_deref().unwrap_or(base);
            if context == Context::Object {
                references(object, index, base);
            }
            for (key, value) in object.iter_mut() {
                if let Some(context) = below(context, key) {
                    rewrite(value, index, base, context);
                }
            }
        }
        _ => {}
    }
}

fn references(object: &mut Map<String, Value>, index: &Index, base: &str) {
    if let Some(Value::String(reference)) = object.get_mut("$ref")
        && !(base == HERE && reference.starts_with("#/"))
        && let Some(pointer) = index.pointer(base, reference)
    {
        *reference = fragment(&pointer);
    }
    let Some(dynamic) = object.get("$dynamicRef").and_then(Value::as_str).map(str::to_owned) else { return };
    let Some(pointer) = index.pointer(base, &dynamic) else { return };
    let is_static = index.is_static(base, &dynamic) && !object.contains_key("$ref");
    if is_static {
        object.remove("$dynamicRef");
    }
    let keyword = if is_static { "$ref" } else { "$dynamicRef" };
    object.insert(keyword.to_owned(), Value::String(fragment(&pointer)));
}

fn fragment(pointer: &str) -> String {
    format!("#{}", pointer.replace('%', "%25"))
}

/// `reference`, without fragment, as seen from `base` (RFC 3986 section 5.2).
fn resolved(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|one: char| one.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if has_scheme {
        return reference.to_owned();
    }
    let (scheme, rest) = base.split_once(':').unwrap_or(("", base));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let prefix =
        if rest.starts_with("//") { format!("{scheme}://{authority}") } else { format!("{scheme}:") };
    if let Some(network) = reference.strip_prefix("//") {
        return format!("{scheme}://{network}");
    }
    let path = path.split('?').next().unwrap_or_default();
    let joined = match reference.strip_prefix('/') {
        Some(_) => reference.to_owned(),
        None => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(directory, _)| directory)),
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in joined.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("{prefix}/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_resolved_as_rfc_3986_says() {
        let check = |base: &str, reference: &str, expected: &str| {
            assert_eq!(resolved(base, reference), expected, "{base} {reference}");
        };
        check("http://a/b/c/d;p?q", "g", "http://a/b/c/g");
        check("http://a/b/c/d;p?q", "./g", "http://a/b/c/g");
        check("http://a/b/c/d;p?q", "../g", "http://a/b/g");
        check("http://a/b/c/d;p?q", "../../../g", "http://a/g");
        check("http://a/b/c/d;p?q", "/g", "http://a/g");
        check("http://a/b/c/d;p?q", "//g", "http://g");
        check("http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q");
        check("http://a", "g", "http://a/g");
        check("http://a/b", "urn:x:y", "urn:x:y");
    }

    #[test]
    fn ids_and_anchors_become_pointers_and_data_stays() {
        let mut root = json!({
            "components": { "schemas": {
                "A": { "$id": "a.json", "$defs": { "n/m": { "$anchor": "n" } }, "items": { "$ref": "#n" },
                       "properties": { "$ref": { "$ref": "#" }, "$id": { "type": "string" } } },
                "B": { "$ref": "a.json#/$defs/n~1m" },
                "C": { "$anchor": "c", "const": { "$ref": "#c" }, "allOf": [{ "$ref": "#c" }, { "$ref": "b.json" }] },
                "D": { "$dynamicAnchor": "d", "items": { "$dynamicRef": "#d" } },
                "E": { "$id": "e", "$dynamicAnchor": "t", "items": { "$dynamicRef": "#t" } },
                "F": { "$id": "f", "$dynamicAnchor": "t" }
            } }
        });
        let resources = localize(&mut root);
        let scope = entered(&resources, &Scope::new(), "/components/schemas/F/items");
        let scope = entered(&resources, &scope, "/components/schemas/E");
        assert_eq!(scope.get("t").map(String::as_str), Some("/components/schemas/F"));
        assert_eq!(scope.get("d"), None);
        let at = |pointer: &str| root.pointer(pointer).and_then(Value::as_str).unwrap_or("none").to_owned();
        let s = |rest: &str| format!("/components/schemas/{rest}");
        assert_eq!(at(&s("A/items/$ref")), "#/components/schemas/A/$defs/n~1m");
        assert_eq!(at(&s("A/properties/$ref/$ref")), "#/components/schemas/A");
        assert_eq!(at(&s("B/$ref")), "#/components/schemas/A/$defs/n~1m");
        assert_eq!(at(&s("C/const/$ref")), "#c");
        assert_eq!(at(&s("C/allOf/0/$ref")), "#/components/schemas/C");
        assert_eq!(at(&s("C/allOf/1/$ref")), "b.json");
        assert_eq!(at(&s("D/items/$ref")), "#/components/schemas/D");
        assert_eq!(at(&s("E/items/$dynamicRef")), "#/components/schemas/E");
    }
}
