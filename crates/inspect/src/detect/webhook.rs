//! Incoming webhooks: URLs that are secrets themselves, since whoever knows one may write to a channel.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start};

pub(super) const STARTS: &[Start] =
    &[Start { left: |b| b.is_ascii_alphanumeric(), bytes: Bytes::Prefixes(&[b"://"]) }];

/// Longest host and path that a webhook begins with.
const LONGEST: usize = 120;

/// Hosts (a leading dot: their subdomains) and what their webhooks' paths begin with.
const HOOKS: &[(&str, &str)] = &[
    ("hooks.slack.com", "/services/"),
    ("hooks.slack.com", "/workflows/"),
    ("hooks.slack.com", "/triggers/"),
    ("hooks.slack-gov.com", "/services/"),
    ("discord.com", "/api/webhooks/"),
    ("discordapp.com", "/api/webhooks/"),
    (".discord.com", "/api/webhooks/"),
    (".webhook.office.com", "/webhookb2/"),
    ("outlook.office.com", "/webhook/"),
    ("outlook.office365.com", "/webhook/"),
    (".logic.azure.com", "/workflows/"),
    ("hooks.zapier.com", "/hooks/catch/"),
    ("hook.integromat.com", "/"),
    (".make.com", "/hook"),
    ("maker.ifttt.com", "/trigger/"),
    ("chat.googleapis.com", "/v1/spaces/"),
    ("api.telegram.org", "/bot"),
    ("open.feishu.cn", "/open-apis/bot/"),
    ("open.larksuite.com", "/open-apis/bot/"),
    ("oapi.dingtalk.com", "/robot/send?access_token="),
    ("qyapi.weixin.qq.com", "/cgi-bin/webhook/send?key="),
    ("events.pagerduty.com", "/integration/"),
    ("hooks.glip.com", "/webhook/"),
    ("hooks.ringcentral.com", "/webhook/"),
    ("webhooks.gitter.im", "/e/"),
    ("api.flock.com", "/hooks/sendmessage/"),
    ("webexapis.com", "/v1/webhooks/incoming/"),
];

/// Whether a webhook stands here, behind the `://`.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if !cursor.eat_literal(b"://")? {
        return Ok(None);
    }
    let skip = cursor.at();
    cursor.eat_while(LONGEST, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))?;
    let host = cursor.seen().get(skip..).unwrap_or_default();
    for (name, path) in HOOKS.iter().filter(|(name, _)| is_host(host, name)) {
        let mut cursor = cursor.clone();
        if !cursor.eat_literal(path.as_bytes())? {
            continue;
        }
        let body = cursor.at();
        cursor.eat_while(LONGEST, is_url)?;
        let secret = cursor.seen().get(body..).unwrap_or_default();
        // Words of documentation have no digits, and a template has braces, which no URL has.
        if secret.len() >= 10 && (secret.iter().any(u8::is_ascii_digit) || name.contains("slack")) {
            return Ok(Some(Match::behind(skip, cursor.at(), "webhook").with_token()));
        }
    }
    Ok(None)
}

fn is_host(host: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    if name.first() == Some(&b'.') {
        return host.len() > name.len() && host.to_ascii_lowercase().ends_with(name);
    }
    host.eq_ignore_ascii_case(name)
}

fn is_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'/' | b'.' | b'?' | b'&' | b'=' | b'%' | b'@' | b'~' | b':')
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_hooks() {
        for (text, expected) in [
            ("https://hooks.slack.com/services/T111/B222/qKirRWalryBGqKir!", "https://[webhook]!"),
            ("(https://discord.com/api/webhooks/1234567890/Ab-Cd_Ef)", "(https://[webhook])"),
            (
                "https://x.webhook.office.com/webhookb2/0a1b-2c@3d/IncomingWebhook/4e5f/6a",
                "https://[webhook]",
            ),
            (
                "https://chat.googleapis.com/v1/spaces/AAA1/messages?key=k1&token=t2 ok",
                "https://[webhook] ok",
            ),
            ("https://api.telegram.org/bot123456789:AAabcd/sendMessage", "https://[webhook]"),
        ] {
            assert_eq!(redacted(Detector::Webhook, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_urls() {
        for text in [
            "https://api.slack.com/messaging/webhooks",
            "https://hooks.slack.com/services/",
            "https://discord.com/developers/docs/resources/webhook",
            "https://discord.com/api/webhooks/{id}/{token}",
            "https://example.com/api/webhooks/1234567890/abcdef",
        ] {
            assert_eq!(redacted(Detector::Webhook, text), text);
        }
    }
}
