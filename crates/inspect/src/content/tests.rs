use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::machine::{Form, Screen};

fn rule(kind: Kind, action: Action) -> Rule {
    Rule { name: "r".into(), kind, action }
}

fn topic(words: &[&str]) -> Kind {
    Kind::Topic(Topic::new(words.iter().copied()).unwrap())
}

fn phrase(pattern: &str) -> Kind {
    Kind::Phrase(Phrase::new(pattern).unwrap())
}

fn screen(rules: Vec<Rule>) -> Screen {
    Screen::compile(crate::machine::Parts { content: Content::new(rules), ..Default::default() })
}

/// What leaves of a text in pieces, whether it was blocked, and what was found.
fn through(screen: &Screen, pieces: &[&str]) -> (String, bool, Vec<String>) {
    let (mut machine, mut out) = (screen.machine_for(Form::Prose), String::new());
    for piece in pieces {
        machine.push(piece, &mut out);
    }
    machine.finish(&mut out);
    let found =
        machine.take_findings().into_iter().map(|one| format!("{} {}", one.detector, one.evidence)).collect();
    (out, machine.is_blocked(), found)
}

#[test]
fn topics_are_words_of_any_language() {
    let screen = screen(vec![rule(topic(&["gun", "plastic  explosive", "爆弾", "Straße"]), Action::Redact)]);
    for (text, expected) in [
        ("a GUN, guns, begun", "a [removed], guns, begun"),
        ("ｇｕｎ!", "[removed]!"),
        ("g\u{200b}un", "[removed]"),
        ("Plastic\n explosive.", "[removed]."),
        ("これは爆弾です", "これは[removed]です"),
        ("STRAßE straße", "[removed] [removed]"),
        ("gun", "[removed]"),
        ("plastic", "plastic"),
    ] {
        assert_eq!(through(&screen, &[text]).0, expected, "{text}");
    }
    assert!(Topic::new(["ok", " - "]).is_none());
}

#[test]
fn phrases_are_found_as_they_pass() {
    let redacts = screen(vec![rule(phrase(r"(?i)case-\d{4,8}"), Action::Redact)]);
    assert_eq!(through(&redacts, &["see CASE-", "12345", "6 and case-12"]).0, "see [removed] and case-12");
    let blocks = screen(vec![rule(phrase(r"case-\d{4}"), Action::Block)]);
    let (out, is_blocked, found) = through(&blocks, &["see case-", "1234 or"]);
    assert_eq!((out.as_str(), is_blocked, found), ("see ", true, vec!["phrase r".to_owned()]));
    let observes = screen(vec![rule(phrase(r"case-\d{4}"), Action::Observe)]);
    assert_eq!(
        through(&observes, &["a case-1234 b"]),
        ("a case-1234 b".into(), false, vec!["phrase r".into()])
    );
}

#[test]
fn what_has_no_end_is_awaited_or_ends_the_text() {
    let pattern = r"BEGIN[\s\S]*END";
    assert_eq!(Phrase::new(pattern).unwrap().longest(), None);
    assert!(Phrase::new("a*").is_err() && Phrase::new("(").is_err());
    let awaited = screen(vec![rule(Kind::Awaited(Phrase::new(pattern).unwrap()), Action::Redact)]);
    assert_eq!(through(&awaited, &["a BEG", "IN x E", "ND b"]).0, "a [removed] b");
    let ending = screen(vec![rule(Kind::Ending(Phrase::new(pattern).unwrap()), Action::Block)]);
    assert_eq!(
        through(&ending, &["a BEGIN ", "x E", "ND b"]),
        ("a BEGIN x E".into(), true, vec!["phrase r".into()])
    );
    assert!(!through(&ending, &["a BEGIN x"]).1);
    let long = "x".repeat(AWAITED);
    assert_eq!(through(&awaited, &[&long, "y"]), (String::new(), true, vec![]));
}

#[test]
fn languages_length_and_shape() {
    let german = "Bitte schreiben Sie mir einen Brief an meine Nachbarin, in dem ich mich für die Blumen bedanke, die sie gestern gebracht hat.";
    let english = "Please write a letter to my neighbour in which I thank her for the flowers that she brought yesterday afternoon.";
    let only = screen(vec![rule(Kind::Languages(Languages::new(["en", "fr"]).unwrap()), Action::Block)]);
    assert_eq!(through(&only, &[german]).2, ["language r: deu"]);
    assert!(through(&only, &[german]).1 && !through(&only, &[english]).1);
    assert!(through(&only, &["Пожалуйста, напишите письмо моей соседке и поблагодарите её."]).1);
    assert_eq!(Languages::new(["en", "klingon"]).err(), Some("klingon"));
    let cut = screen(vec![rule(Kind::Length(5), Action::Redact)]);
    assert_eq!(through(&cut, &["abé", "def", "g"]).0, "abéde");
    assert_eq!(through(&cut, &["abcde"]), ("abcde".into(), false, vec![]));
    let shape = || Shape::new(&json!({"type": "object", "required": ["a"]})).unwrap();
    let awaits = screen(vec![rule(Kind::Schema { shape: shape(), awaits: true }, Action::Block)]);
    assert_eq!(through(&awaits, &["{\"a\"", ":1}"]), ("{\"a\":1}".into(), false, vec![]));
    assert_eq!(through(&awaits, &["{\"b\"", ":1}"]), (String::new(), true, vec!["schema r".into()]));
    let ends = screen(vec![rule(Kind::Schema { shape: shape(), awaits: false }, Action::Block)]);
    assert_eq!(through(&ends, &["{\"b\"", ":1}"]), ("{\"b\":1}".into(), true, vec!["schema r".into()]));
    // Names and settings are no messages.
    let mut machine = awaits.machine();
    let mut out = String::new();
    machine.push("gpt", &mut out);
    machine.finish(&mut out);
    assert_eq!(out, "gpt");
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        parts in proptest::collection::vec(0..12_usize, 0..14), cuts in proptest::collection::vec(0..90_usize, 0..7),
        action in proptest::sample::select(&[Action::Observe, Action::Redact][..]),
    ) {
        let all = ["gun", " ", "case-1234", "5", "爆弾", "plastic", " explosive", "é", "g", "\u{200b}", "aab", "b"];
        let text: String = parts.iter().map(|nth| all[*nth]).collect();
        let screen = screen(vec![
            rule(topic(&["gun", "plastic explosive", "爆弾"]), action),
            rule(phrase(r"case-\d{4,6}|a{1,3}b{2,4}"), Action::Redact),
            rule(Kind::Length(40), Action::Redact),
        ]);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(text.get(from..cut).unwrap());
            from = cut;
        }
        pieces.push(text.get(from..).unwrap());
        // Rules of different kinds report as the text reaches them.
        let sorted = |pieces: &[&str]| {
            let (out, is_blocked, mut found) = through(&screen, pieces);
            found.sort();
            (out, is_blocked, found)
        };
        prop_assert_eq!(sorted(&pieces), sorted(&[&text]));
    }
}
