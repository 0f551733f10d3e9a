//! Takes members out of a JSON text and leaves every other byte as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// What goes, below one value.
#[derive(Debug, Default)]
struct Cut<'p> {
    is_whole: bool,
    below: BTreeMap<Cow<'p, str>, Self>,
}

/// `text`, which passed the guard, without the members that `pointers` name. `None` if a pointer names no member.
///
/// Names, numbers, white space and the order of what stays are not touched: a signature apart, a client cannot tell
/// the text from one that never had the members.
pub(super) fn excise(text: &str, pointers: &[String]) -> Option<String> {
    let mut cut = Cut::default();
    for pointer in pointers {
        let mut at = &mut cut;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = if step.contains('~') {
                step.replace("~1", "/").replace("~0", "~").into()
            } else {
                step.into()
            };
            at = at.below.entry(step).or_default();
        }
        at.is_whole = true;
    }
    let mut cutter = Cutter { bytes: text.as_bytes(), text, at: 0, ranges: Vec::new() };
    cutter.value(&cut)?;
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in cutter.ranges {
        out.push_str(text.get(from..range.start)?);
        from = range.end;
    }
    out.push_str(text.get(from..)?);
    Some(out)
}

struct Cutter<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    ranges: Vec<Range<usize>>,
}

impl<'t> Cutter<'t> {
    fn next(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn value(&mut self, cut: &Cut<'_>) -> Option<()> {
        match self.next()? {
            b'{' if !cut.below.is_empty() => self.object(cut),
            b'[' if !cut.below.is_empty() => self.array(cut),
            _ => self.skip(),
        }
    }

    fn array(&mut self, cut: &Cut<'_>) -> Option<()> {
        self.at += 1;
        let mut index = 0_usize;
        while self.next()? != b']' {
            match cut.below.get(index.to_string().as_str()) {
                Some(below) if below.is_whole => return None,
                Some(below) => self.value(below)?,
                None => self.skip()?,
            }
            index += 1;
            self.comma()?;
        }
        self.at += 1;
        Some(())
    }

    fn object(&mut self, cut: &Cut<'_>) -> Option<()> {
        self.at += 1;
        // Where the last member ended, if one before this was kept; else where what goes began.
        let (mut kept_to, mut open_from) = (None, None);
        while self.next()? != b'}' {
            let start = self.at;
            if let Some(from) = open_from.take() {
                self.ranges.push(from..start);
            }
            let name = self.string()?;
            if self.next()? != b':' {
                return None;
            }
            self.at += 1;
            let below = cut.below.get(&*name);
            match below.filter(|below| !below.is_whole) {
                Some(below) => self.value(below)?,
                None => {
                    self.next()?;
                    self.skip()?;
                }
            }
            let end = self.at;
            match (below.is_some_and(|below| below.is_whole), kept_to) {
                (true, Some(last)) => {
                    self.ranges.push(last..end);
                    kept_to = Some(end);
                }
                (true, None) => open_from = Some(start),
                (false, _) => kept_to = Some(end),
            }
            self.comma()?;
            if let Some(from) = open_from.filter(|_| self.bytes.get(self.at) == Some(&b'}')) {
                self.ranges.push(from..end);
            }
        }
        self.at += 1;
        Some(())
    }

    /// Takes a comma, if what follows is none of the two ends.
    fn comma(&mut self) -> Option<()> {
        match self.next()? {
            b',' => {
                self.at += 1;
                self.next().map(drop)
            }
            b']' | b'}' => Some(()),
            _ => None,
        }
    }

    /// Takes a string; returns it without its escapes.
    fn string(&mut self) -> Option<Cow<'t, str>> {
        let start = self.at;
        self.skip()?;
        let whole = self.text.get(start..self.at)?;
        if whole.contains('\\') {
            return serde_json::from_str(whole).ok().map(Cow::Owned);
        }
        whole.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }

    /// Takes one value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => self.quoted()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.word(),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn word(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().position(is_end).unwrap_or(rest.len()).max(1);
    }

    fn quoted(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(text: &str, pointers: &[&str], expected: Option<&str>) {
        let pointers: Vec<_> = pointers.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(excise(text, &pointers).as_deref(), expected, "{text} {pointers:?}");
    }

    #[test]
    fn what_goes_goes_and_the_rest_stays_byte_for_byte() {
        check(r#"{"a":1,"b":2,"c":3}"#, &["/b"], Some(r#"{"a":1,"c":3}"#));
        check(r#"{"a":1,"b":2,"c":3}"#, &["/a"], Some(r#"{"b":2,"c":3}"#));
        check(r#"{"a":1,"b":2,"c":3}"#, &["/c"], Some(r#"{"a":1,"b":2}"#));
        check(r#"{"a":1,"b":2,"c":3}"#, &["/a", "/b"], Some(r#"{"c":3}"#));
        check(r#"{"a":1,"b":2,"c":3}"#, &["/b", "/c"], Some(r#"{"a":1}"#));
        check(r#"{"a":1,"b":2,"c":3}"#, &["/a", "/c"], Some(r#"{"b":2}"#));
        check(r#"{ "a" : 1 }"#, &["/a"], Some("{  }"));
        check(r#"{"a":1,"b":2}"#, &["/a", "/b"], Some("{}"));
        check(
            "{\n  \"a\": 1.50,\n  \"x\": [1, {\"y\": \"]\"}],\n  \"b\": 2\n}",
            &["/x"],
            Some("{\n  \"a\": 1.50,\n  \"b\": 2\n}"),
        );
        check(r#"[{"a":1,"x":"}"},{"x":"\"","b":1e2}]"#, &["/0/x", "/1/x"], Some(r#"[{"a":1},{"b":1e2}]"#));
        check(r#"{"a":{"b":{"x":null,"c":true}}}"#, &["/a/b/x"], Some(r#"{"a":{"b":{"c":true}}}"#));
        check(r#"{"\u0061":1,"b":2}"#, &["/a"], Some(r#"{"b":2}"#));
        check(r#"{"a/b":1,"c~d":2,"e":3}"#, &["/a~1b", "/c~0d"], Some(r#"{"e":3}"#));
        check(r#"[1,2]"#, &["/0"], None);
        check(r#"{"a":1}"#, &[], Some(r#"{"a":1}"#));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a\\\\\"{}, ]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\\\\\"/~]{1,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Pointers to some members of objects.
    fn members(value: &Value, at: &str, picks: &mut impl Iterator<Item = bool>, out: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(n, item)| members(item, &format!("{at}/{n}"), picks, out));
            }
            Value::Object(all) => {
                for (name, below) in all {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    if picks.next() == Some(true) { out.push(at) } else { members(below, &at, picks, out) }
                }
            }
            _ => {}
        }
    }

    fn remove(value: &mut Value, pointer: &str) {
        let (above, last) = pointer.rsplit_once('/').unwrap();
        let name = last.replace("~1", "/").replace("~0", "~");
        value.pointer_mut(above).and_then(Value::as_object_mut).unwrap().remove(&name).unwrap();
    }

    proptest! {
        #[test]
        fn cutting_the_text_is_cutting_the_value(value in any_value(), picks in prop::collection::vec(any::<bool>(), 32), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut pointers = Vec::new();
            members(&value, "", &mut picks.into_iter(), &mut pointers);
            let out = excise(&text, &pointers).unwrap();
            let mut expected = value;
            pointers.iter().for_each(|pointer| remove(&mut expected, pointer));
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected, "{} {:?}", text, pointers);
        }

        #[test]
        fn any_text_ends(text in "[\\[\\]{}\",:a1 \\\\]{0,24}") {
            let _ = excise(&text, &["/a/b".to_owned(), "/1".to_owned()]);
        }
    }
}
