use std::collections::VecDeque;
use std::io::Write as _;

use portcullis_core::identify::IssuerRules;

use super::*;

const FIRST: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"first","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SECOND: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"second","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Answers from a list, the last one for ever; counts, and takes its time.
struct Script {
    answers: Mutex<VecDeque<Result<String, u16>>>,
    calls: Mutex<Vec<Instant>>,
    takes: Duration,
}

fn keys(jwks: &[&str]) -> Result<String, u16> {
    Ok(format!(r#"{{"keys":[{}]}}"#, jwks.join(",")))
}

impl Script {
    fn new(answers: &[Result<String, u16>], takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().cloned().collect()),
            calls: Mutex::default(),
            takes,
        })
    }

    fn calls(&self) -> usize {
        self.calls.lock().len()
    }
}

impl Fetch for Script {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + 'a>> {
        Box::pin(async move {
            self.calls.lock().push(Instant::now());
            tokio::time::sleep(self.takes).await;
            let mut answers = self.answers.lock();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            answer.unwrap().map(Bytes::from).map_err(FetchError::Status)
        })
    }
}

fn url(text: &str) -> KeySource {
    text.parse().unwrap()
}

/// A keyring with one source, tried once.
async fn start(script: &Arc<Script>, timing: Timing) -> (Arc<Keyring>, Issuer) {
    let keyring = Arc::new(Keyring::new(Arc::clone(script) as Arc<dyn Fetch>, timing));
    let source = url("https://login.example.com/jwks");
    let issuer = Issuer::with_cell(IssuerRules::new("corp", "iss", "aud"), keyring.cell(&source));
    assert_eq!(script.calls(), 0);
    keyring.keep(&[source]);
    keyring.load().await;
    (keyring, issuer)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const QUICK: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn loads_at_start_and_refreshes() {
    let script = Script::new(&[keys(&[FIRST])], QUICK);
    let (keyring, issuer) = start(&script, Timing::default()).await;
    assert!(keyring.is_ready() && issuer.cell().has_keys());
    assert_eq!(script.calls(), 1);
    pass(265).await;
    assert_eq!(script.calls(), 1);
    pass(70).await;
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_unknown_keys_cause_one_fetch_and_then_a_pause() {
    let script = Script::new(&[keys(&[FIRST]), keys(&[FIRST, SECOND])], QUICK);
    let (keyring, issuer) = start(&script, Timing::default()).await;
    let issuer = Arc::new(issuer);
    // Fetched a moment ago: nobody waits.
    let before = Instant::now();
    keyring.ensure(&issuer).await;
    assert_eq!((script.calls(), before.elapsed()), (1, Duration::ZERO));

    pass(11).await;
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let (keyring, issuer) = (Arc::clone(&keyring), Arc::clone(&issuer));
            tokio::spawn(async move { keyring.ensure(&issuer).await })
        })
        .collect();
    let before = Instant::now();
    for one in crowd {
        one.await.unwrap();
    }
    assert_eq!(script.calls(), 2);
    assert!(
        before.elapsed() >= QUICK && before.elapsed() < 2 * QUICK,
        "waited for it: {:?}",
        before.elapsed()
    );

    pass(5).await;
    keyring.ensure(&issuer).await;
    assert_eq!(script.calls(), 2);
    pass(6).await;
    keyring.ensure(&issuer).await;
    assert_eq!(script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_is_not_waited_for_longer_than_the_limit_nor_cancelled() {
    let script = Script::new(&[keys(&[FIRST])], Duration::from_secs(5));
    let before = Instant::now();
    let (keyring, issuer) = start(&script, Timing::default()).await;
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    assert!(!keyring.is_ready());
    keyring.ensure(&issuer).await;
    assert_eq!(before.elapsed(), Duration::from_secs(4));
    keyring.ensure(&issuer).await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert!(keyring.is_ready());
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off() {
    let script = Script::new(&[Err(500)], Duration::ZERO);
    let (keyring, issuer) = start(&script, Timing::default()).await;
    assert!(!keyring.is_ready());
    for _ in 0..100 {
        keyring.ensure(&issuer).await;
    }
    assert_eq!(script.calls(), 1, "an unknown key does not get round the pause");
    pass(3000).await;
    let calls = script.calls.lock().clone();
    let gaps: Vec<_> = calls.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    for (gap, expected) in
        gaps.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000])
    {
        assert!((expected * 89 / 100..=expected * 111 / 100).contains(gap), "{gaps:?}");
    }
    assert!(gaps.len() >= 10, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_good_keys_last_for_their_time() {
    let script = Script::new(&[keys(&[FIRST]), Err(503)], Duration::ZERO);
    let (keyring, issuer) = start(&script, Timing::default()).await;
    pass(3590).await;
    assert!(issuer.cell().has_keys());
    pass(20).await;
    assert!(!issuer.cell().has_keys() && !keyring.is_ready());
    *script.answers.lock() = [keys(&[SECOND])].into();
    pass(400).await;
    assert!(keyring.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_broken_document_does_not_replace_a_good_one() {
    for broken in ["", "{}", "<html>", r#"{"keys":[]} x"#, &" ".repeat(DOCUMENT_LIMIT + 1)] {
        let script = Script::new(&[keys(&[FIRST]), Ok(broken.to_owned())], Duration::ZERO);
        let (keyring, _issuer) = start(&script, Timing::default()).await;
        pass(400).await;
        assert!(script.calls() > 2 && keyring.is_ready(), "{broken:.20}");
    }
    // A set that was emptied is not broken: the issuer withdrew its keys.
    let script = Script::new(&[keys(&[FIRST]), keys(&[])], Duration::ZERO);
    let (keyring, _issuer) = start(&script, Timing::default()).await;
    pass(400).await;
    assert!(!keyring.is_ready());
}

#[tokio::test(start_paused = true)]
async fn keys_survive_a_reload_and_sources_that_went_are_left_alone() {
    let script = Script::new(&[keys(&[FIRST])], Duration::ZERO);
    let (keyring, issuer) = start(&script, Timing::default()).await;
    let (kept, new) = (url("https://login.example.com/jwks"), url("https://other.example.com/jwks"));
    assert!(Arc::ptr_eq(issuer.cell(), &keyring.cell(&kept)));
    keyring.keep(&[kept, new.clone()]);
    assert!(!keyring.is_ready());
    keyring.load().await;
    assert!(keyring.is_ready());
    assert_eq!(script.calls(), 2, "only the new one was fetched");
    keyring.keep(&[new]);
    pass(350).await;
    assert_eq!(script.calls(), 3, "only the one still held is refreshed");
    keyring.ensure(&issuer).await;
    assert_eq!(script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn reads_files() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", keys(&[FIRST]).unwrap()).unwrap();
    let script = Script::new(&[Err(404)], Duration::ZERO);
    let keyring = Keyring::new(script, Timing::default());
    keyring.keep(&[KeySource::File(file.path().to_owned())]);
    keyring.load().await;
    assert!(keyring.is_ready());
    keyring.keep(&[KeySource::File(file.path().with_extension("missing"))]);
    keyring.load().await;
    assert!(!keyring.is_ready());
}

#[test]
fn sources() {
    for (text, expected) in [
        ("keys/corp.json", Ok(KeySource::File("keys/corp.json".into()))),
        ("https://login.example.com/jwks", Ok(KeySource::Url("https://login.example.com/jwks".into()))),
        ("http://127.0.0.1:9000/jwks", Ok(KeySource::Url("http://127.0.0.1:9000/jwks".into()))),
        ("http://[::1]:9000/jwks", Ok(KeySource::Url("http://[::1]:9000/jwks".into()))),
        ("http://localhost/jwks", Ok(KeySource::Url("http://localhost/jwks".into()))),
        ("http://login.example.com/jwks", Err(KeySourceError::PlainText)),
        ("http://127.0.0.1.example.com/jwks", Err(KeySourceError::PlainText)),
        ("http://localhost.example.com", Err(KeySourceError::PlainText)),
        ("ftp://127.0.0.1/jwks", Err(KeySourceError::PlainText)),
        ("http://localhost@evil.example/jwks", Err(KeySourceError::UserInfo)),
        ("https://u:p@login.example.com/jwks", Err(KeySourceError::UserInfo)),
    ] {
        assert_eq!(text.parse::<KeySource>(), expected, "{text}");
    }
}
