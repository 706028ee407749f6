//! What may be shown of values that hold secrets, or that strangers wrote.

use crate::core::escape;

/// Stands for what isn't shown.
const HIDDEN: &str = "***";

/// Query parameters of a Redis URL whose values say nothing secret.
const HARMLESS_PARAMETERS: [&str; 4] = ["cluster", "db", "protocol", "service_name"];

/// A Redis URL as it may be shown: the password, and whatever else might be one, is `***`; scheme, user, host, port and
/// database stay.
///
/// Where a URL can be read in two ways it hides too much rather than too little; what isn't a URL is hidden whole.
pub fn redacted_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
        return HIDDEN.to_owned();
    }
    // Passwords are often written unescaped, so the user's part ends at the last `@`, and not at the first `/`, `?` or `,`.
    let (user_info, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    if user_info.is_some_and(|u| u.contains(['?', '#'])) {
        // Either the password holds a `?`, or a parameter holds an `@`.
        return format!("{scheme}://{HIDDEN}");
    }
    let mut shown = format!("{scheme}://");
    match user_info.map(|u| u.split_once(':')) {
        Some(Some((user, _))) => shown.extend([user, ":", HIDDEN, "@"]),
        // Without a colon it should be a user, but may be a password in the wrong place.
        Some(None) => shown.extend([HIDDEN, "@"]),
        None => {}
    }
    let (host, fragment) = host.split_once('#').map_or((host, None), |(h, f)| (h, Some(f)));
    let (host, query) = host.split_once('?').map_or((host, None), |(h, q)| (h, Some(q)));
    shown.push_str(host);
    for (nth, parameter) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
        shown.push(if nth == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if HARMLESS_PARAMETERS.contains(&name) => shown.push_str(parameter),
            Some((name, _)) => shown.extend([name, "=", HIDDEN]),
            None => shown.push_str(HIDDEN),
        }
    }
    match fragment {
        // The only one that means anything to Redis clients: don't check the certificate.
        Some("insecure") => shown.push_str("#insecure"),
        Some(_) => shown.extend(["#", HIDDEN]),
        None => {}
    }
    escape(&shown)
}

/// A name or word out of a settings file, for a message: short, without secrets, unable to steer a terminal.
pub(super) fn shown(word: &str) -> String {
    /// More than the longest key; what is longer was never meant.
    const LONGEST: usize = 64;
    if word.contains("://") || word.contains('@') {
        return redacted_url(word);
    }
    let mut short: String = word.chars().take(LONGEST).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    escape(&short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_hidden_and_the_rest_is_kept() {
        for (url, expected) in [
            ("redis://localhost", "redis://localhost"),
            ("redis://localhost:6379/2", "redis://localhost:6379/2"),
            ("rediss://me:s3cret@host:6380/0#insecure", "rediss://me:***@host:6380/0#insecure"),
            ("redis://:s3cret@host", "redis://:***@host"),
            ("redis://s3cret@host", "redis://***@host"),
            ("redis://:s3/cr@et@host/1", "redis://:***@host/1"),
            ("redis://:s3?cret@host/1", "redis://***"),
            ("redis://:s3#cret@host/1", "redis://***"),
            ("redis://:a://s3cret@host", "redis://:***@host"),
            ("redis+unix:///run/redis.sock?db=1&pass=s3cret", "redis+unix:///run/redis.sock?db=1&pass=***"),
            ("redis+unix:///run/redis.sock?pass=s3@cret", "redis+unix://***"),
            ("redis://host?s3cret#s3cret", "redis://host?***#***"),
            ("redis://a:s3cret@h1,redis://b:s3cret@h2", "redis://a:***@h2"),
            ("s3cret", "***"),
            ("s3cret@host", "***"),
            ("s3 cret://host", "***"),
            ("redis://ho\u{1b}[31mst", "redis://ho\\u{1b}[31mst"),
        ] {
            assert_eq!(redacted_url(url), expected, "{url}");
        }
    }

    #[test]
    fn words_are_short_and_tame() {
        assert_eq!(shown("queue.backend"), "queue.backend");
        assert_eq!(shown("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert!(shown(&"x".repeat(1_000_000)).chars().count() < 70);
        assert_eq!(shown("redis://u:pw@h"), "redis://u:***@h");
    }

    proptest! {
        #[test]
        fn no_password_is_ever_shown(password in "[!-~]{0,8}S3CRET[!-~]{0,8}", user in "[a-z]{0,5}", host in "[a-z]{1,9}") {
            let url = format!("redis://{user}:{password}@{host}/0");
            prop_assert!(!redacted_url(&url).contains("S3CRET"), "{}", redacted_url(&url));
        }

        #[test]
        fn any_text_can_be_redacted(text in ".*") {
            let _ = (redacted_url(&text), shown(&text));
        }
    }
}
