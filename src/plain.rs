//! Foreign text where a person or a model reads it: which characters could pose as something else.

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

#[cfg(test)]
mod tests {
    use super::*;

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
