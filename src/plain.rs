//! Foreign text where a person or a model reads it: which characters could pose as something else.

/// How much of a foreign text stands in an error, in characters.
const SHOWN_MAX: usize = 80;
/// How long an error is, in characters.
const ERROR_MAX: usize = 2_000;

/// Whether it is not seen, or changes how others are seen: control characters, ends of lines, marks that turn the direction
/// of writing, and those without width.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text on one line, with what is not seen spelled out: `\n`, `\u{1b}`.
pub fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Foreign text in an error: how it begins, on one line.
pub fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown = on_one_line(&characters.by_ref().take(SHOWN_MAX).collect::<String>());
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The sentence of an error: on one line, and of a longer one both ends, for what to do stands last.
pub fn error(sentence: &str) -> String {
    both_ends(sentence, ERROR_MAX)
}

/// Both ends of a longer foreign text, on one line: of a path, or of a sentence that quotes something.
pub fn both_ends(text: &str, most: usize) -> String {
    let ends = |text: &str| {
        let tail = most / 2;
        let before = text.char_indices().nth(most - tail).map(|(at, _)| at);
        let behind = text.char_indices().rev().nth(tail.saturating_sub(1)).map(|(at, _)| at);
        match (before, behind, text.char_indices().nth(most)) {
            (Some(before), Some(behind), Some(_)) => Some(format!("{} … {}", &text[..before], &text[behind..])),
            _ => None,
        }
    };
    let line = on_one_line(&ends(text).unwrap_or_else(|| text.to_owned()));
    ends(&line).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_longer_text_both_ends_are_shown_on_one_line() {
        assert_eq!(both_ends("a\nb", 30), "a\\nb");
        assert_eq!(both_ends(&"ä".repeat(30), 30), "ä".repeat(30));
        let long = format!("/home/{}/the file", "ä".repeat(2_000_000));
        assert_eq!(both_ends(&long, 30), "/home/äääääääää … ääääää/the file");
        let turning = both_ends(&"\u{202e}".repeat(100), 30);
        assert!(turning.starts_with("\\u{202e}") && turning.chars().count() < 40, "{turning}");
        assert_eq!(both_ends("", 0), "");
    }

    #[test]
    fn foreign_text_in_an_error_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert_eq!(shown(&"ä".repeat(80)), "ä".repeat(80));
        assert_eq!(shown(&"ä".repeat(2_000_000)), format!("{}…", "ä".repeat(80)));
    }

    #[test]
    fn a_text_on_one_line_shows_what_would_end_or_turn_it() {
        assert_eq!(on_one_line("a é\tb\r\nc\u{1b}[2J\u{202e}"), "a é\\tb\\r\\nc\\u{1b}[2J\\u{202e}");
    }

    #[test]
    fn what_turns_or_hides_a_line_is_unseen_and_what_people_write_is_not() {
        assert!("\u{1b}\u{9b}\n\u{202e}\u{2028}\u{2066}\u{200b}\u{feff}".chars().all(is_unseen));
        assert!(!"a é 漢 שלום 🦀 [x]".chars().any(is_unseen));
    }
}
