//! Keys and tokens of well-known providers, by the shapes that the providers publish.

use super::cursor::{Cursor, More};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// One shape: a prefix, then so many bytes of a class.
struct Shape {
    prefix: &'static str,
    body: fn(u8) -> bool,
    least: usize,
    /// Exactly `least` bytes and then a border, or at least so many and then the rest of the token.
    is_exact: bool,
    check: Check,
}

/// What the bytes of a body must look like beyond their class.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Anything: the prefix and the length say enough.
    None,
    /// Like a key, which is random: digits, or both cases. Words joined by dashes have neither.
    Random,
    /// Digits and both cases: the prefix is short, so that names of things begin so too.
    Strong,
    /// Eleven digits first.
    Digits,
    /// `T3BlbkFJ` in the middle, where the body is as long as the provider makes it. A shorter one may be of another kind.
    Marker,
}

/// A shape of fixed length.
const fn exact(prefix: &'static str, body: fn(u8) -> bool, length: usize) -> Shape {
    Shape { prefix, body, least: length, is_exact: true, check: Check::Random }
}

/// A shape of fixed length with a prefix that nothing else has.
const fn plain(prefix: &'static str, body: fn(u8) -> bool, length: usize) -> Shape {
    Shape { prefix, body, least: length, is_exact: true, check: Check::None }
}

/// A shape of open length.
const fn open(prefix: &'static str, body: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, body, least, is_exact: false, check: Check::Random }
}

/// A shape of open length with a prefix that names of things have too.
const fn strong(prefix: &'static str, body: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, body, least, is_exact: false, check: Check::Strong }
}

/// A shape of open length with a prefix that nothing else has.
const fn long(prefix: &'static str, body: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, body, least, is_exact: false, check: Check::None }
}

/// A key of OpenAI, or of those who took over its prefix.
const fn openai(prefix: &'static str, body: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, body, least, is_exact: false, check: Check::Marker }
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn alpha(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

fn any_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn hex_dashed(byte: u8) -> bool {
    hex(byte) || byte == b'-'
}

fn url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    url(byte) || byte == b'.'
}

fn padded(byte: u8) -> bool {
    url(byte) || byte == b'='
}

fn dashed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn upper_dashed(byte: u8) -> bool {
    upper(byte) || byte == b'-'
}

use super::{is_token as token, is_word as word};

/// The shapes, by their first three bytes; where several fit, the first does, so the longer prefix comes before.
const SHAPES: &[Shape] = &[
    open("4b1d", alnum, 38),
    open("A3-", upper_dashed, 32),
    exact("ABIA", upper, 16),
    open("ABSK", token, 100),
    exact("ACCA", upper, 16),
    exact("AGE-SECRET-KEY-1", upper, 58),
    exact("AIza", url, 35),
    open("AKCp", alnum, 69),
    exact("AKIA", upper, 16),
    open("AKID", alnum, 32),
    open("API-", upper, 26),
    open("AQVN", url, 35),
    exact("ASIA", upper, 16),
    open("ATATT3", padded, 120),
    open("ATBB", alnum, 32),
    open("ATCTT3", padded, 120),
    open("CCIPAT_", url, 40),
    open("CFPAT-", url, 43),
    open("CLOJARS_", alnum, 60),
    open("EAACEdEose0cBA", alnum, 16),
    open("EAAA", url, 56),
    open("EZAK", alnum, 54),
    open("EZTK", alnum, 54),
    open("FLWSECK", url, 32),
    open("GOCSPX-", url, 28),
    open("GR1348941", url, 20),
    open("HRKU-", url, 36),
    exact("LTAI", alnum, 20),
    open("NRAA-", url, 27),
    open("NRAK-", url, 27),
    open("NRII-", url, 27),
    open("NRIQ-", url, 27),
    open("NRJS-", hex, 19),
    open("NRRA-", url, 27),
    open("NRSP-", url, 27),
    open("PMAK-", dashed, 59),
    open("PMAT-", upper, 26),
    open("SG.", dotted, 50),
    open("access-development-", dashed, 36),
    open("access-production-", dashed, 36),
    open("access-sandbox-", dashed, 36),
    open("aio_", alnum, 28),
    open("apify_api_", alnum, 36),
    open("api-", hex_dashed, 36),
    open("bedrock-api-key-", token, 40),
    open("bkaj_", hex, 40),
    open("bkct_", hex, 40),
    open("bkua_", hex, 40),
    plain("cfat_", alnum, 48),
    plain("cfk_", alnum, 48),
    plain("cfut_", alnum, 48),
    open("cmVmdGtu", alnum, 56),
    open("csk-", alnum, 40),
    plain("dapi", any_hex, 32),
    open("dckr_oat_", url, 20),
    open("dckr_pat_", url, 20),
    open("depot_", alnum, 40),
    open("doo_v1_", hex, 64),
    open("dop_v1_", hex, 64),
    open("dor_v1_", hex, 64),
    open("dp.audit.", alnum, 40),
    open("dp.scim.", alnum, 40),
    open("dp.ct.", alnum, 40),
    open("dp.pt.", alnum, 40),
    open("dp.sa.", alnum, 40),
    open("dp.st.", dotted, 40),
    open("dt0c01.", dotted, 80),
    open("dt0s01.", dotted, 80),
    open("duffel_live_", padded, 43),
    open("duffel_test_", padded, 43),
    open("e2b_", hex, 40),
    open("eyJrIjoi", token, 60),
    open("figdr_", url, 36),
    open("figd_", url, 36),
    open("figo_", url, 36),
    open("fio-u-", padded, 64),
    open("fm1a_", token, 60),
    open("fm1r_", token, 60),
    open("fm2_", token, 60),
    open("fo1_", url, 43),
    strong("fw_", alnum, 22),
    open("gho_", alnum, 30),
    open("ghp_", alnum, 30),
    open("ghr_", alnum, 30),
    open("ghs_", dotted, 30),
    open("ghu_", alnum, 30),
    open("github_pat_", word, 30),
    open("glagent-", dotted, 20),
    open("glc_eyJ", token, 32),
    open("glcbt-", dotted, 20),
    open("gldt-", dotted, 20),
    open("glffct-", dotted, 20),
    open("glft-", dotted, 20),
    open("glimt-", dotted, 20),
    open("gloas-", dotted, 20),
    open("glpat-", dotted, 20),
    open("glptt-", dotted, 20),
    open("glrtr-", dotted, 20),
    open("glrt-", dotted, 20),
    open("glsoat-", dotted, 20),
    open("glsa_", word, 32),
    plain("gsk_", alnum, 52),
    plain("hf_", alpha, 34),
    open("hvb.", url, 24),
    open("hvr.", url, 24),
    open("hvs.", url, 24),
    open("ico-", alnum, 32),
    open("ion_", alnum, 42),
    open("key-", hex, 32),
    open("lin_oauth_", alnum, 32),
    open("lin_api_", alnum, 32),
    open("lsv2_pt_", word, 43),
    open("lsv2_sk_", word, 43),
    open("napi_", alnum, 40),
    open("nfb_", alnum, 36),
    open("nfc_", alnum, 36),
    open("nfo_", alnum, 36),
    open("nfp_", alnum, 36),
    open("nfu_", alnum, 36),
    open("npm_", alnum, 36),
    Shape { prefix: "ntn_", body: alnum, least: 46, is_exact: true, check: Check::Digits },
    open("nvapi-", url, 60),
    open("ops_eyJ", url, 100),
    open("os_v2_", alnum, 40),
    open("oy2", lower, 43),
    strong("pa-", url, 43),
    open("pat-eu1-", dashed, 36),
    open("pat-na1-", dashed, 36),
    open("pat.", dotted, 60),
    open("pcsk_", word, 40),
    open("phx_", alnum, 40),
    open("pnu_", alnum, 36),
    open("pplx-", alnum, 40),
    open("pscale_oauth_", dotted, 32),
    open("pscale_tkn_", dotted, 32),
    open("pscale_pw_", dotted, 32),
    open("pul-", hex, 40),
    open("pypi-", url, 50),
    open("r8_", alnum, 37),
    open("rdme_", lower, 70),
    strong("re_", word, 24),
    open("rk_live_", alnum, 16),
    open("rk_test_", alnum, 24),
    open("rnd_", alnum, 28),
    open("rootly_", hex, 60),
    open("rpa_", alnum, 40),
    open("rubygems_", hex, 48),
    open("rzp_live_", alnum, 14),
    open("s-s4t2af-", hex, 64),
    open("s-s4t2ud-", hex, 64),
    open("sat.", dotted, 60),
    open("sb_secret_", url, 30),
    open("sbp_oauth_", hex, 40),
    open("sbp_", hex, 40),
    open("sdk-", hex_dashed, 36),
    open("secret_", alnum, 43),
    open("sgp_", word, 40),
    open("sha256~", url, 43),
    open("shippo_live_", hex, 40),
    open("shippo_test_", hex, 40),
    open("shpat_", alnum, 32),
    open("shpca_", alnum, 32),
    open("shppa_", alnum, 32),
    open("shpss_", alnum, 32),
    openai("sk-svcacct-", url, 32),
    openai("sk-admin-", url, 32),
    open("sk-or-v1-", hex, 40),
    openai("sk-proj-", url, 32),
    open("sk-ant-", url, 32),
    open("sk-lf-", dashed, 36),
    openai("sk-", alnum, 32),
    open("sk.eyJ", dotted, 60),
    long("sk_live_", alnum, 24),
    long("sk_prod_", alnum, 24),
    long("sk_test_", alnum, 24),
    open("sm_aat_", alnum, 16),
    open("sm_pat_", alnum, 16),
    open("sm_sat_", alnum, 16),
    open("sntrys_eyJ", token, 80),
    open("sntryu_", hex, 64),
    open("spu-", alnum, 32),
    open("sq0atp-", url, 22),
    open("sq0csp-", url, 43),
    open("sqa_", hex, 40),
    open("sqp_", hex, 40),
    open("squ_", hex, 40),
    open("t1.", dotted, 80),
    open("tfp_", dotted, 50),
    open("tk-us-", url, 48),
    open("tr_prod_", alnum, 20),
    open("tr_dev_", alnum, 20),
    open("tskey-", dashed, 20),
    open("tvly-", dashed, 30),
    open("unkey_", alnum, 20),
    open("v1.0-", hex_dashed, 100),
    open("vca_", alnum, 40),
    open("vci_", alnum, 40),
    open("vck_", alnum, 40),
    open("vcp_", alnum, 40),
    open("vcr_", alnum, 40),
    open("waka_", dashed, 36),
    open("whsec_", alnum, 24),
    open("xai-", alnum, 70),
    open("xapp-", dashed, 20),
    open("xkeysib-", dashed, 64),
    open("xoxe.xox", dashed, 40),
    open("xoxa-", dashed, 20),
    open("xoxb-", dashed, 20),
    open("xoxe-", dashed, 20),
    open("xoxo-", dashed, 20),
    open("xoxp-", dashed, 20),
    open("xoxr-", dashed, 20),
    open("xoxs-", dashed, 20),
    open("xsmtpsib-", dashed, 64),
    open("ya29.", url, 60),
    open("zpka_", word, 40),
];

/// The longest body in which a marker is looked for.
const LONGEST_MARKED: usize = 200;

/// What a token may not be glued to on its left.
fn left(byte: u8) -> bool {
    is_no_word(byte) && byte != b'-'
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left,
        bytes: Bytes::Prefixes(&[
            b"ABI", b"ABS", b"ACC", b"AGE", b"AIz", b"AKC", b"AKI", b"API", b"AQV", b"ASI", b"ATA", b"ATB",
            b"ATC", b"CCI", b"CFP", b"CLO", b"EAA", b"EZA", b"EZT", b"FLW",
        ]),
    },
    Start {
        left,
        bytes: Bytes::Prefixes(&[
            b"GOC", b"GR1", b"HRK", b"LTA", b"NRA", b"NRI", b"NRJ", b"NRR", b"NRS", b"PMA", b"SG.",
        ]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"acc", b"aio", b"api"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"bed", b"bka", b"bkc", b"bku", b"ico", b"ion"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"cfa", b"cfk", b"cfu", b"cmV", b"csk"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"dap", b"dck", b"dep", b"doo", b"dop", b"dor", b"duf"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[
            b"dp.", b"dt0", b"e2b", b"fm1", b"fm2", b"fo1", b"oy2", b"s-s", b"sb_", b"sk-", b"sk.", b"sk_",
            b"sm_", b"sq0", b"t1.", b"v1.", b"ya2",
        ]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"fig", b"fio"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[b"fw_", b"hf_", b"os_", b"pa-", b"r8_", b"re_", b"rk_", b"tk-", b"tr_"]),
    },
    Start {
        left,
        bytes: Bytes::Prefixes(&[
            b"gho", b"ghp", b"ghr", b"ghs", b"ghu", b"git", b"gla", b"glc", b"gld", b"glf", b"gli", b"glo",
            b"glp", b"glr", b"gls", b"gsk",
        ]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"hvb", b"hvr", b"hvs", b"lin", b"lsv", b"ops"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"key"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[b"nap", b"nfb", b"nfc", b"nfo", b"nfp", b"nfu", b"npm", b"ntn", b"nva"]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"pat", b"pcs", b"phx", b"pnu", b"ppl", b"psc", b"pul", b"pyp"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"rdm", b"rnd", b"roo", b"rpa", b"rub", b"rzp"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[
            b"sat", b"sbp", b"sdk", b"sec", b"sgp", b"sha", b"shi", b"shp", b"snt", b"spu", b"sqa", b"sqp",
            b"squ",
        ]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"tfp", b"tvl"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[b"unk", b"vca", b"vci", b"vck", b"vcp", b"vcr", b"wak", b"whs", b"zpk"]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"xai", b"xap", b"xke", b"xox", b"xsm"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"eyJ", b"A3-", b"4b1"]) },
    Start { left: |b| left(b) || b == b'_', bytes: Bytes::Prefixes(&[b"tsk"]) },
    Start { left, bytes: Bytes::Classes([|b| b == b'S', |b| b == b'K', hex]) },
    Start { left, bytes: Bytes::Classes([|b| b == b'0', |b| b == b'x', any_hex]) },
    Start {
        left,
        bytes: Bytes::Classes([|b| matches!(b, b'1'..=b'9'), |b| b.is_ascii_digit(), |b| b.is_ascii_digit()]),
    },
];

/// Whether a key starts here.
pub(super) fn probe(cursor: &Cursor<'_>) -> Probe {
    let mut ahead = cursor.clone();
    let (Some(a), Some(b), Some(c)) = (ahead.next()?, ahead.next()?, ahead.next()?) else { return Ok(None) };
    let head = [a, b, c];
    if a.is_ascii_digit() && b.is_ascii_digit() {
        return telegram(cursor.clone());
    }
    if (a, b) == (b'S', b'K') {
        return fixed(cursor.clone(), b"SK", hex, 32, "SK");
    }
    if (a, b) == (b'0', b'x') {
        return fixed(cursor.clone(), b"0x", any_hex, 64, "0x");
    }
    if let Some(found) = airtable(cursor.clone())? {
        return Ok(Some(found));
    }
    let from = SHAPES.partition_point(|shape| shape.head() < head);
    for shape in SHAPES.iter().skip(from).take_while(|shape| shape.head() == head) {
        if let Some(found) = shape.probe(cursor.clone())? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A prefix of two bytes and so many of a class.
fn fixed(
    mut cursor: Cursor<'_>,
    prefix: &[u8],
    body: fn(u8) -> bool,
    length: usize,
    label: &'static str,
) -> Probe {
    if !cursor.eat_literal(prefix)? || cursor.eat_while(length, body)? < length || !cursor.is_border(url)? {
        return Ok(None);
    }
    let key = cursor.seen().get(prefix.len()..).unwrap_or_default();
    let is_varied = key.iter().any(|byte| Some(byte) != key.first()) && key.iter().any(u8::is_ascii_digit);
    Ok(is_varied.then(|| Match::exact(cursor.at(), label)))
}

/// A token of Telegram's bots: a number, a colon, and 35 bytes that begin with `A`.
fn telegram(mut cursor: Cursor<'_>) -> Probe {
    if cursor.eat_while(12, |b| b.is_ascii_digit())? < 8
        || !cursor.eat_literal(b":A")?
        || cursor.eat_while(34, url)? < 34
        || !cursor.is_border(url)?
    {
        return Ok(None);
    }
    Ok(Some(Match::exact(cursor.at(), "telegram")))
}

/// `pat`, fourteen bytes, a dot and a digest.
fn airtable(mut cursor: Cursor<'_>) -> Probe {
    let is_one = cursor.eat_literal(b"pat")?
        && cursor.eat_while(14, alnum)? == 14
        && cursor.eat(|b| b == b'.')?
        && cursor.eat_while(64, hex)? == 64
        && cursor.is_border(url)?;
    Ok(is_one.then(|| Match::exact(cursor.at(), "pat")))
}

impl Shape {
    fn head(&self) -> [u8; 3] {
        self.prefix.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    fn probe(&self, mut cursor: Cursor<'_>) -> Probe {
        if !cursor.eat_literal(self.prefix.as_bytes())?
            || cursor.eat_while(self.least, self.body)? < self.least
        {
            return Ok(None);
        }
        if self.check == Check::Marker {
            cursor.eat_while(LONGEST_MARKED, self.body)?;
        }
        let len = cursor.at();
        let body = cursor.seen().get(self.prefix.len()..).unwrap_or_default();
        if !self.check.passes(body) || (self.is_exact && !self.is_over(&mut cursor)?) {
            return Ok(None);
        }
        let found = Match::exact(len, self.prefix);
        Ok(Some(if self.is_exact { found } else { found.with_token() }))
    }

    /// Whether a key of fixed length ends here.
    fn is_over(&self, cursor: &mut Cursor<'_>) -> Result<bool, More> {
        // Databricks numbers a token's generations: `dapi…-2`.
        if self.prefix == "dapi" && cursor.peek()? == Some(b'-') {
            return Ok(cursor.peek_second()?.is_some_and(|b| b.is_ascii_digit()));
        }
        cursor.is_border(url)
    }
}

impl Check {
    fn passes(self, body: &[u8]) -> bool {
        let has = |class: fn(&u8) -> bool| body.iter().any(class);
        let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        match self {
            Self::None => true,
            Self::Random => is_mixed || has(u8::is_ascii_digit),
            Self::Strong => is_mixed && has(u8::is_ascii_digit),
            Self::Digits => body.iter().take(11).all(u8::is_ascii_digit),
            Self::Marker => {
                let is_full = body.len() == 48 || body.len() >= 100;
                (is_mixed || has(u8::is_ascii_digit))
                    && (!is_full || memchr::memmem::find(body, b"T3BlbkFJ").is_some())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAPES, STARTS};
    use crate::detect::{Detector, finds, redacted};

    /// A key of this shape, made up here so that no scanner takes this file for a leak.
    fn example(shape: &super::Shape) -> String {
        let digits = if shape.check == super::Check::Digits { 11 } else { 0 };
        let body = "A7b3e9".chars().cycle().flat_map(|sign| {
            [sign, sign.to_ascii_uppercase(), sign.to_ascii_lowercase(), 'b', '4']
                .into_iter()
                .find(|c| (shape.body)(*c as u8))
        });
        let number = "12345678901".chars().take(digits);
        let body: String = number.chain(body).take(shape.least).collect();
        [shape.prefix, &body].concat()
    }

    fn shape(prefix: &str) -> &'static super::Shape {
        SHAPES.iter().find(|shape| shape.prefix == prefix).unwrap()
    }

    #[test]
    fn every_shape_can_start_and_is_found() {
        for shape in SHAPES {
            let key = example(shape);
            let bytes = key.as_bytes();
            let can_start =
                STARTS.iter().any(|start| (start.left)(b' ') && (0..3).all(|i| start.admits(i, bytes[i])));
            assert!(can_start, "{}", shape.prefix);
            assert_eq!(
                redacted(Detector::ApiKey, &format!("key={key}, next")),
                "key=[api-key], next",
                "{key}"
            );
            assert_eq!(redacted(Detector::ApiKey, &format!("\"{key}\"")), "\"[api-key]\"", "{key}");
        }
    }

    #[test]
    fn keys_without_a_prefix_of_three() {
        let digits = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        for (text, expected) in [
            (format!("SK{digits}"), "[api-key]"),
            (format!("(0x{digits}{digits})"), "([api-key])"),
            (format!("123456789:AA{}", "b".repeat(33)), "[api-key]"),
            (format!("patA7b3A7b3A7b3A7.{digits}{digits}"), "[api-key]"),
        ] {
            assert_eq!(redacted(Detector::ApiKey, &text), expected, "{text}");
        }
    }

    #[test]
    fn shapes_are_in_order() {
        assert!(SHAPES.is_sorted_by_key(super::Shape::head));
    }

    #[test]
    fn the_whole_token_goes_however_long() {
        let text = format!("use {}{} now", example(shape("sk-proj-")), "-_x".repeat(20));
        assert_eq!(redacted(Detector::ApiKey, &text), "use [api-key] now");
    }

    #[test]
    fn leaves_what_only_begins_like_a_key() {
        for text in [
            "sk-openai-123456",
            "sk-learn and sk-image",
            "ask-me-anything-about-this-long-sentence-with-dashes",
            "AKIA1234",
            "AKIAIOSFODNN7EXAMPLE9",
            "ghp_short",
            "task-runner-that-is-quite-long-but-made-of-words-only",
            "sk-ant-api02-notarealkey",
            "SG.md",
            "npm_config_registry",
            "hf_hub_download",
            "xoxb-",
            "pypi-server",
            "dapi",
            "SKU1234",
            "skip_live_1234567890123456",
            "0x0000000000000000000000000000000000000000000000000000000000000000",
            "gsk_A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7b3A7",
            "re_compile_the_pattern_2_times_over",
        ] {
            assert_eq!(redacted(Detector::ApiKey, text), text);
        }
    }

    #[test]
    fn evidence_names_the_shape_only() {
        assert_eq!(finds(Detector::ApiKey, &example(shape("ghp_"))), ["ghp_***"]);
    }
}
