//! Texts without what looks like a secret. Rules only.
//!
//! Every pattern knows a secret by its beginning, so that one whose end is missing is masked as well.

use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

/// What stands for a secret.
const MASK: &str = "[masked]";

/// How secrets look. Where there is a group, it is the secret; else it is the whole.
const PATTERNS: [&str; 8] = [
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-+|\z)",
    r"(?:^|[^A-Za-z0-9])([sr]k[-_][A-Za-z0-9_-]{12,})",
    r"(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|npm_|hf_|AIza)[A-Za-z0-9_-]{10,}",
    r"A[KS]IA[0-9A-Z]{12,}",
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*",
    r"(?i)bearer\s+([a-z0-9._~+/=-]{8,})",
    r"://[^\s/@:]*:([^\s/@]+)@",
    r#"(?i)--[a-z-]*(?:password|passphrase|secret|token|key)\s+("[^"]*"?|'[^']*'?|[^\s"',;]+)"#,
];

/// A word for a secret, something that gives it a value, and the value: what is quoted, else all to the next space, comma
/// or semicolon. The quotes may be those of JSON within JSON.
const NAMED: &str = r#"(?xi)
    (?: passw(?:or)?d | passphrase | pwd | _pass | secret | token | (?: api | access | private )[_-]?key | credentials?
      | authorization | cookie )
    (?: [_-][a-z0-9_-]* | [0-9]* ) \\* ["']? \s* (?: => | [:=]+ ) \s*
    ( (?: (?: basic | bearer | digest | token ) \s+ )?
      (?: "(?: [^"\\] | \\(?s:.) )*"? | \\+"[^"]*"? | \\*'[^']*'? | [^\s"',;]+ ) )
"#;

/// Long runs of letters and digits, which are secrets if they stand behind a word for one.
const RUN: &str = "[A-Za-z0-9+/_=-]{20,}";
const WORDS: [&str; 5] = ["key", "secret", "token", "passw", "credential"];
/// How far behind, in bytes.
const NEAR: usize = 40;

/// The first `most` characters of a text, without what looks like a secret: one that begins in them is looked at whole.
pub(super) fn masked(text: &str, most: usize) -> String {
    let place = |text: &str| text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    let end = place(text);
    let mut secrets: Vec<Range<usize>> = [patterns(text), runs(text)].concat();
    secrets.retain(|secret| secret.start < end);
    secrets.sort_by_key(|secret| secret.start);
    let mut shown = String::new();
    let mut done = 0;
    for secret in secrets {
        if secret.start >= done {
            shown.push_str(&text[done..secret.start]);
            shown.push_str(MASK);
        }
        done = done.max(secret.end);
    }
    shown.push_str(text.get(done..end).unwrap_or_default());
    shown.truncate(place(&shown));
    shown
}

fn patterns(text: &str) -> Vec<Range<usize>> {
    static ALL: LazyLock<Vec<Regex>> = LazyLock::new(|| PATTERNS.into_iter().chain([NAMED]).map(compiled).collect());
    let found = ALL.iter().flat_map(|pattern| pattern.captures_iter(text));
    found.filter_map(|found| found.get(1).or(found.get(0))).map(|secret| secret.range()).collect()
}

fn runs(text: &str) -> Vec<Range<usize>> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| compiled(RUN));
    let is_secret = |run: &Range<usize>| {
        let before = &text.as_bytes()[run.start.saturating_sub(NEAR)..run.start];
        let before = String::from_utf8_lossy(before).to_ascii_lowercase();
        let has = |kind: fn(&u8) -> bool| text[run.clone()].as_bytes().iter().any(kind);
        has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && WORDS.iter().any(|word| before.contains(word))
    };
    PATTERN.find_iter(text).map(|run| run.range()).filter(is_secret).collect()
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of ours")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        masked(text, usize::MAX)
    }

    #[test]
    fn secrets_are_masked_and_what_is_around_them_is_not() {
        let cases = [
            ("use sk-proj-Abc123_def-456ghi now", "use [masked] now"),
            ("(ghp_16C7e42F292c6912E7710c838347Ae178B4a)", "([masked])"),
            ("github_pat_11ABCDEFG0_abcdefghijk.", "[masked]."),
            ("xoxb-123456789012-abcdef xoxp-123456789012-abcdef", "[masked] [masked]"),
            ("AKIAIOSFODNN7EXAMPLE!", "[masked]!"),
            ("Authorization: Bearer abc.def-123456", "Authorization: [masked]"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [masked]"),
            ("the header is bearer abcdef-123456", "the header is bearer [masked]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSM-_x end", "jwt [masked] end"),
            ("password=hunter2 and on", "password=[masked] and on"),
            ("token: tr0ub4dor, next", "token: [masked], next"),
            ("OPENAI_API_KEY=abc; export", "OPENAI_API_KEY=[masked]; export"),
            (r#"{"password": "two words", "user": "me"}"#, r#"{"password": [masked], "user": "me"}"#),
            (r#"{\"apiKey\":\"abc\",\"user\":1}"#, r#"{\"apiKey\":[masked],\"user\":1}"#),
            ("login --password hunter2 --user me", "login --password [masked] --user me"),
            ("https://me:hunter2@host/path", "https://me:[masked]@host/path"),
            ("https://ghp_16C7e42F292c6912E7710c8383:x@host", "https://[masked]:[masked]@host"),
            ("AWS_SECRET_ACCESS_KEY=wJalr/bPxR DB_PASS=x", "AWS_SECRET_ACCESS_KEY=[masked] DB_PASS=[masked]"),
            (r#"{"token": "a \" b", "n": 1}"#, r#"{"token": [masked], "n": 1}"#),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "[masked]\nrest"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE\nno end", "[masked]"),
            ("the key is 9f86d081884c7d659a2feaa0c55ad015 ok", "the key is [masked] ok"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        let texts = [
            "",
            "task-list for the new release, on disk-encryption",
            "used 530 tokens: 500 in, 30 out; max_tokens=100",
            "the author: Jane; see src/session/rules.rs and 0192d3f4-0000-7000-8000-000000000000",
            "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "https://host:8080/path, me@host",
            "12 pass, 3 fail; pass: 12",
            "keyboard and monkey, the bearer of news",
        ];
        for text in texts {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_secret_that_is_cut_is_masked_first() {
        let text = format!("{} ghp_16C7e42F292c6912E7710c838347Ae178B4a", "x".repeat(190));
        assert_eq!(masked(&text, 200), format!("{} [masked]", "x".repeat(190)));
        assert_eq!(masked("äöü", 2), "äö");
    }

    fn secret() -> impl Strategy<Value = (String, String)> {
        const KNOWN: [&str; 7] = [
            "sk-[A-Za-z0-9]{20,40}",
            "ghp_[A-Za-z0-9]{36}",
            "github_pat_[A-Za-z0-9_]{20,60}",
            "xox[bp]-[0-9]{10,12}-[a-zA-Z0-9]{10,24}",
            "AKIA[0-9A-Z]{16}",
            "eyJ[A-Za-z0-9_-]{10,40}[.]eyJ[A-Za-z0-9_-]{10,40}[.][A-Za-z0-9_-]{10,40}",
            "-----BEGIN EC PRIVATE KEY-----\n([A-Za-z0-9+/]{20}\n){2}-----END EC PRIVATE KEY-----",
        ];
        const NAMES: [&str; 7] =
            ["Bearer ", "password=", "token: ", "api_key=", "MY_SECRET = ", "\"accessToken\": \"", "key is 7a"];
        let known = prop::sample::select(&KNOWN[..]).prop_flat_map(|known| (Just(String::new()), known));
        prop_oneof![known, (prop::sample::select(&NAMES[..]).prop_map(str::to_owned), "[a-zA-Z0-9]{24,60}")]
    }

    proptest! {
        #[test]
        fn no_secret_gets_through(
            (name, secret) in secret(),
            (before, after) in ("(.|\n){0,220}", "(.|\n){0,40}"),
            (space_before, space_after) in ("[ \n\t(,;]", "[ \n\t),;]"),
            most in prop_oneof![Just(200), Just(usize::MAX)],
        ) {
            let text = format!("{before}{space_before}{name}{secret}{space_after}{after}");
            let shown = masked(&text, most);
            // Nor does a part of it.
            prop_assert!(!shown.contains(&secret[..secret.len().min(16)]), "{}", shown);
            prop_assert!(!shown.contains(&secret[secret.len() - 8..]), "{}", shown);
        }

        #[test]
        fn a_secret_without_its_end_is_masked((name, secret) in secret(), left in 28..60_usize) {
            let cut = &secret[..left.min(secret.len())];
            let shown = shown(&format!("{name}{cut}"));
            prop_assert!(!shown.contains(&cut[cut.len() - 8..]), "{}", shown);
        }

        #[test]
        fn any_text_can_be_masked(text in "(.|\n){0,400}") {
            prop_assert!(masked(&text, 200).chars().count() <= 200);
        }
    }
}
