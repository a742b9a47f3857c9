//! Foreign text in columns: how much of it fits.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::plain::on_one_line;

/// The parts of this width of a line in which nothing is unseen; an empty line has one.
pub(super) fn rows(line: &str, columns: usize) -> Vec<&str> {
    let columns = columns.max(1);
    if line.is_ascii() && !line.is_empty() {
        return (0..line.len()).step_by(columns).map(|at| &line[at..line.len().min(at + columns)]).collect();
    }
    let (mut rows, mut begin, mut room) = (Vec::new(), 0, columns);
    for (at, one) in line.grapheme_indices(true) {
        let wide = one.width();
        if wide > room && at > begin {
            rows.push(&line[begin..at]);
            (begin, room) = (at, columns);
        }
        room = room.saturating_sub(wide);
    }
    rows.push(&line[begin..]);
    rows
}

/// What fits of a text's beginning on one line, and how wide that is.
pub(super) fn beginning(text: &str, columns: usize) -> (String, usize) {
    let (mut line, mut wide) = (String::new(), 0);
    for one in text.graphemes(true).map(on_one_line) {
        if wide + one.width() > columns {
            break;
        }
        wide += one.width();
        line.push_str(&one);
    }
    (line, wide)
}

/// What fits of its end.
pub(super) fn ending(text: &str, columns: usize) -> (String, usize) {
    let (mut parts, mut wide) = (Vec::new(), 0);
    for one in text.graphemes(true).rev().map(on_one_line) {
        if wide + one.width() > columns {
            break;
        }
        wide += one.width();
        parts.push(one);
    }
    parts.reverse();
    (parts.concat(), wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_its_columns_end_and_nothing_of_it_is_lost() {
        assert_eq!(rows("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(rows("abcd", 4), ["abcd"]);
        assert_eq!(rows("", 4), [""]);
        assert_eq!(rows("a宽字b", 3), ["a宽", "字b"]);
        // A heart with the mark that makes it two columns wide is two wide, as the screen has it.
        assert_eq!(rows("❤\u{fe0f}❤\u{fe0f}x", 4), ["❤\u{fe0f}❤\u{fe0f}", "x"]);
        for columns in 0..9 {
            assert_eq!(rows("a宽e\u{301}🦀❤\u{fe0f} x", columns).concat(), "a宽e\u{301}🦀❤\u{fe0f} x");
        }
    }

    #[test]
    fn both_ends_of_a_text_are_what_fits() {
        assert_eq!(beginning("宽字x", 4), ("宽字".to_owned(), 4));
        assert_eq!(beginning("a\nb", 2), ("a".to_owned(), 1));
        assert_eq!(ending("a宽字", 3), ("字".to_owned(), 2));
        assert_eq!(ending("a\nb", 9), ("a\\nb".to_owned(), 4));
    }
}
