//! Values that meet a schema, as far as that can be done without solving it.

use std::collections::{BTreeMap, BTreeSet};

use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Number, Value, json};

use crate::dice::Dice;
use crate::document::Document;

/// A schema with all that it is composed of in one place.
#[derive(Debug, Default, Clone)]
pub struct Flat<'d> {
    pub words: BTreeMap<&'d str, &'d Value>,
    pub properties: BTreeMap<&'d str, &'d Value>,
    pub required: BTreeSet<&'d str>,
    /// Fields whose value a `discriminator` decides.
    pub pinned: BTreeMap<&'d str, String>,
}

impl<'d> Flat<'d> {
    /// Adds `schema`, one alternative of each choice.
    pub fn add(&mut self, document: &'d Document, schema: &'d Value, dice: &mut Dice, depth: u32) {
        let Some(object) = document.follow(schema).as_object().filter(|_| depth < 16) else { return };
        for (word, value) in object {
            match word.as_str() {
                "properties" => {
                    self.properties.extend(value.as_object().into_iter().flatten().map(|(k, v)| (&**k, v)))
                }
                "required" => {
                    self.required.extend(value.as_array().into_iter().flatten().filter_map(Value::as_str))
                }
                "allOf" => {
                    let all = value.as_array().into_iter().flatten();
                    all.for_each(|one| self.add(document, one, dice, depth + 1));
                }
                "oneOf" | "anyOf" => {
                    let Some(one) = value.as_array().and_then(|all| dice.pick(all)) else { continue };
                    self.pin(object, one);
                    self.add(document, one, dice, depth + 1);
                }
                _ => drop(self.words.insert(word, value)),
            }
        }
    }

    fn pin(&mut self, object: &'d Map<String, Value>, chosen: &'d Value) {
        let discriminator = object.get("discriminator");
        let Some(name) = discriminator.and_then(|one| one.get("propertyName")).and_then(Value::as_str) else {
            return;
        };
        let Some(reference) = chosen.get("$ref").and_then(Value::as_str) else { return };
        let mapping = discriminator.and_then(|one| one.get("mapping")).and_then(Value::as_object);
        let mapped = mapping.into_iter().flatten().find(|(_, to)| to.as_str() == Some(reference));
        let last = reference.rsplit('/').next().unwrap_or_default();
        let value = mapped.map_or_else(|| last.to_owned(), |(value, _)| value.clone());
        self.pinned.insert(name, value);
    }

    pub fn word(&self, word: &str) -> Option<&'d Value> {
        self.words.get(word).copied()
    }

    fn number(&self, word: &str) -> Option<f64> {
        self.word(word).and_then(Value::as_f64)
    }

    fn count(&self, word: &str) -> Option<usize> {
        self.word(word).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
    }

    /// The types that the schema takes, or seems to.
    pub fn types(&self) -> Vec<&'d str> {
        let has = |words: &[&str]| words.iter().any(|word| self.words.contains_key(word));
        match self.word("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ if !self.properties.is_empty() || has(&["additionalProperties", "minProperties"]) => {
                vec!["object"]
            }
            _ if has(&["items", "minItems", "maxItems"]) => vec!["array"],
            _ if has(&["minimum", "maximum", "multipleOf"]) => vec!["number"],
            _ if has(&["pattern", "minLength", "maxLength", "format"]) => vec!["string"],
            _ => Vec::new(),
        }
    }
}

/// Makes values.
pub struct Sampler<'d> {
    pub document: &'d Document,
    pub dice: Dice,
}

impl<'d> Sampler<'d> {
    pub fn flat(&mut self, schema: &'d Value) -> Flat<'d> {
        let mut flat = Flat::default();
        flat.add(self.document, schema, &mut self.dice, 0);
        flat
    }

    /// A value that should meet `schema`.
    pub fn value(&mut self, schema: &'d Value, depth: u32) -> Value {
        let flat = self.flat(schema);
        self.of(&flat, depth)
    }

    fn of(&mut self, flat: &Flat<'d>, depth: u32) -> Value {
        if depth > 12 {
            return Value::Null;
        }
        if let Some(one) = flat.word("const") {
            return one.clone();
        }
        if let Some(one) = flat.word("enum").and_then(Value::as_array).and_then(|all| self.dice.pick(all)) {
            return one.clone();
        }
        let types = flat.types();
        let kinds: Vec<&str> = types.iter().copied().filter(|one| *one != "null").collect();
        match self.dice.pick(&kinds).copied() {
            Some("object") => self.object(flat, depth),
            Some("array") => self.array(flat, depth),
            Some("integer") => self.integer(flat),
            Some("number") => self.number(flat),
            Some("boolean") => Value::Bool(self.dice.chance(50)),
            Some(_) => Value::String(self.text(flat)),
            None if types.contains(&"null") => Value::Null,
            None => Value::String(self.letters(5)),
        }
    }

    fn object(&mut self, flat: &Flat<'d>, depth: u32) -> Value {
        let mut members = Map::new();
        let share = [60, 45, 30, 15].get(depth as usize).copied().unwrap_or(0);
        for (name, schema) in &flat.properties {
            let is_required = flat.required.contains(name) || flat.pinned.contains_key(name);
            // Authors write it beside a reference, too, and mean it.
            let says = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
            let is_answer = says(schema) || says(self.document.follow(schema));
            if is_answer || !is_required && !self.dice.chance(share) {
                continue;
            }
            let behind = self.document.follow(schema);
            let is_nullable =
                behind.get("nullable") == Some(&Value::Bool(true)) && behind.get("type").is_some();
            let is_null = is_nullable && behind.get("enum").is_none() && self.dice.chance(10);
            let value = match flat.pinned.get(name) {
                Some(value) => Value::String(value.clone()),
                None if is_null => Value::Null,
                None => self.value(schema, depth + 1),
            };
            members.insert((*name).to_owned(), value);
        }
        let missing: Vec<&str> =
            flat.required.iter().copied().filter(|name| !flat.properties.contains_key(name)).collect();
        let free = flat.word("additionalProperties").filter(|more| more.is_object());
        let least = flat.count("minProperties").unwrap_or(0);
        for name in missing {
            let value = free.map_or(Value::Null, |more| self.value(more, depth + 1));
            members.insert(name.to_owned(), value);
        }
        if let Some(more) = free {
            let wanted = if depth < 3 { 1 + self.dice.below(2) } else { 0 };
            for _ in 0..wanted.max(least.saturating_sub(members.len())) {
                let (name, value) = (self.letters(6), self.value(more, depth + 1));
                members.insert(name, value);
            }
        }
        Value::Object(members)
    }

    fn array(&mut self, flat: &Flat<'d>, depth: u32) -> Value {
        let least = flat.count("minItems").unwrap_or(0);
        let most = flat.count("maxItems").unwrap_or(least + 2).min(least + 2);
        let wanted = if depth > 5 { least } else { least.max(1).min(most) + self.dice.below(2) };
        let any = const { &Value::Bool(true) };
        let items = flat.word("items").unwrap_or(any);
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..wanted.min(most.max(least)) {
            let one = self.value(items, depth + 1);
            if flat.word("uniqueItems") != Some(&Value::Bool(true)) || !all.contains(&one) {
                all.push(one);
            }
        }
        Value::Array(all)
    }

    fn bounds(&self, flat: &Flat<'d>) -> (f64, f64) {
        // In OpenAPI 3.0 the exclusive words are flags.
        let least = flat.number("exclusiveMinimum").map(|least| least + 1.0).or(flat.number("minimum"));
        let most = flat.number("exclusiveMaximum").map(|most| most - 1.0).or(flat.number("maximum"));
        let is_above = flat.word("exclusiveMinimum") == Some(&Value::Bool(true));
        let is_below = flat.word("exclusiveMaximum") == Some(&Value::Bool(true));
        let least = least.unwrap_or_else(|| most.map_or(0.0, |most| (most - 100.0).min(0.0)));
        let most = most.unwrap_or(least + 100.0).min(least + 1_000_000.0);
        (least + f64::from(u8::from(is_above)), most - f64::from(u8::from(is_below)))
    }

    fn integer(&mut self, flat: &Flat<'d>) -> Value {
        let (least, most) = self.bounds(flat);
        let (least, most) = (least.ceil() as i64, most.floor() as i64);
        let span = usize::try_from(most.saturating_sub(least)).unwrap_or(0) + 1;
        let one = least + self.dice.below(span) as i64;
        let step = flat.number("multipleOf").filter(|step| *step >= 1.0).map_or(1, |step| step as i64);
        json!(if step > 1 { (one / step) * step } else { one })
    }

    fn number(&mut self, flat: &Flat<'d>) -> Value {
        if flat.word("multipleOf").is_some() || self.dice.chance(50) {
            return self.integer(flat);
        }
        let (least, most) = self.bounds(flat);
        let quarter = (self.dice.below(4) as f64) / 4.0;
        let one = (least + quarter).min(most);
        Number::from_f64(one).map_or_else(|| json!(0), Value::Number)
    }

    /// Lower-case letters.
    pub fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'a' + self.dice.below(26) as u8)).collect()
    }

    fn text(&mut self, flat: &Flat<'d>) -> String {
        let format = flat.word("format").and_then(Value::as_str).unwrap_or_default();
        if let Some(known) = self.formatted(format) {
            return known;
        }
        if let Some(pattern) = flat.word("pattern").and_then(Value::as_str)
            && let Ok(hir) = regex_syntax::parse(pattern)
        {
            let mut out = String::new();
            self.matching(&hir, &mut out);
            return out;
        }
        let least = flat.count("minLength").unwrap_or(1);
        let most = flat.count("maxLength").unwrap_or(least + 8).min(least + 8);
        let span = most.saturating_sub(least) + 1;
        let count = least + self.dice.below(span);
        self.letters(count)
    }

    fn formatted(&mut self, format: &str) -> Option<String> {
        let two = |dice: &mut Dice, end| 1 + dice.below(end);
        let (month, day, hour) = (two(&mut self.dice, 12), two(&mut self.dice, 28), self.dice.below(24));
        Some(match format {
            "date" => format!("2024-{month:02}-{day:02}"),
            "date-time" => format!("2024-{month:02}-{day:02}T{hour:02}:00:00Z"),
            "time" => format!("{hour:02}:00:00Z"),
            "uuid" => {
                format!("{:08x}-1234-4abc-8def-{:012x}", self.dice.draw() as u32, self.dice.draw() >> 16)
            }
            "email" => format!("{}@example.com", self.letters(5)),
            "uri" | "url" | "uri-reference" | "iri" => format!("https://example.com/{}", self.letters(4)),
            "hostname" | "idn-hostname" => format!("{}.example.com", self.letters(4)),
            "ipv4" => format!("192.0.2.{}", self.dice.below(255)),
            "ipv6" => format!("2001:db8::{:x}", self.dice.below(65_535)),
            "byte" => "aGVsbG8=".to_owned(),
            "duration" => "P1D".to_owned(),
            "json-pointer" => "/a/b".to_owned(),
            _ => return None,
        })
    }

    /// A text that the expression takes; anchors and word borders are passed over.
    fn matching(&mut self, hir: &Hir, out: &mut String) {
        match hir.kind() {
            HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
                // Plain letters where they fit: most classes take them, and they need no encoding.
                let fits = |letter: char| class.iter().any(|one| (one.start()..=one.end()).contains(&letter));
                let plain: Vec<char> =
                    ('a'..='z').chain('0'..='9').chain('A'..='Z').filter(|c| fits(*c)).collect();
                let first = class.iter().next().map(|one| one.start());
                out.extend(self.dice.pick(&plain).copied().or(first));
            }
            HirKind::Class(regex_syntax::hir::Class::Bytes(_)) | HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Repetition(repetition) => {
                let least = repetition.min as usize;
                let most = repetition.max.map_or(least + 3, |most| most as usize).min(least + 3);
                for _ in 0..least + self.dice.below(most - least + 1) {
                    self.matching(&repetition.sub, out);
                }
            }
            HirKind::Capture(capture) => self.matching(&capture.sub, out),
            HirKind::Concat(all) => all.iter().for_each(|one| self.matching(one, out)),
            HirKind::Alternation(all) => {
                let at = self.dice.below(all.len());
                self.matching(&all[at], out);
            }
        }
    }
}
