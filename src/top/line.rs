//! A line that somebody types.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input, InputRequest};

use super::wrap;

/// Its text and its cursor.
#[derive(Debug, Clone)]
pub(super) struct Line {
    input: Input,
    /// How long it may become, in bytes.
    most: usize,
}

/// What becomes of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// It goes on.
    On,
    /// It goes on as it was: with this it would be too long.
    Full,
    /// It is finished.
    Done,
    /// It is given up.
    Left,
}

impl Line {
    /// An empty one that takes so many bytes.
    pub(super) fn of_at_most(most: usize) -> Line {
        Line { input: Input::default(), most }
    }

    /// One with this text in it.
    pub(super) fn with(text: String, most: usize) -> Line {
        Line { input: Input::new(text), most }
    }

    pub(super) fn text(&self) -> &str {
        self.input.value()
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn clear(&mut self) {
        self.input.reset();
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Left,
            KeyCode::Char('c') if ctrl => return Typed::Left,
            _ => {}
        }
        match to_input_request(&Event::Key(key)) {
            Some(InputRequest::InsertChar(c)) if self.text().len() + c.len_utf8() > self.most => Typed::Full,
            // What a yank brings back could be too long.
            None | Some(InputRequest::Yank) => Typed::On,
            Some(request) => {
                self.input.handle(request);
                Typed::On
            }
        }
    }

    /// A text from elsewhere, whole or not at all. Terminals give the ends of its lines as carriage returns.
    pub(super) fn paste(&mut self, text: &str) -> Typed {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end_matches('\n');
        if self.text().len() + text.len() > self.most {
            return Typed::Full;
        }
        let (before, behind) = self.parts();
        let all = [before, text, behind].concat();
        let cursor = self.input.cursor() + text.chars().count();
        self.input = Input::new(all).with_cursor(cursor);
        Typed::On
    }

    /// What stands before the cursor, and what behind it.
    fn parts(&self) -> (&str, &str) {
        let text = self.text();
        let at = text.char_indices().nth(self.input.cursor()).map_or(text.len(), |(at, _)| at);
        text.split_at(at)
    }

    /// What of it is seen in so many columns, the cursor always, and in which of them that is.
    pub(super) fn shown(&self, columns: usize) -> (String, usize) {
        let (before, behind) = self.parts();
        let room = columns.saturating_sub(1);
        let is_long = wrap::beginning(before, room + 1).1 + wrap::beginning(behind, room + 1).1 > room;
        // Of a long one, what is behind the cursor gets a third of the room, or what is left of it.
        let third = if is_long { wrap::beginning(behind, room / 3).1 } else { 0 };
        let (mut shown, cursor) = wrap::ending(before, room - third);
        shown.push_str(&wrap::beginning(behind, room - cursor).0);
        (shown, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctrl(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)
    }

    fn typed(text: &str) -> Line {
        let mut line = Line::of_at_most(100);
        for c in text.chars() {
            assert_eq!(line.key(KeyCode::Char(c).into()), Typed::On);
        }
        line
    }

    #[test]
    fn a_line_is_typed_corrected_and_finished() {
        let mut line = typed("look hare");
        line.key(ctrl('w'));
        line.paste("herex\n");
        line.key(KeyCode::Backspace.into());
        assert_eq!(line.key(KeyCode::Enter.into()), Typed::Done);
        assert_eq!(line.text(), "look here");
        assert_eq!(line.key(KeyCode::Esc.into()), Typed::Left);
        line.key(ctrl('u'));
        assert_eq!(line.text(), "");
    }

    #[test]
    fn the_cursor_goes_where_something_is_to_be_corrected() {
        let mut line = typed("ook hereX");
        line.key(KeyCode::Left.into());
        line.key(KeyCode::Delete.into());
        line.key(KeyCode::Home.into());
        line.key(KeyCode::Char('l').into());
        line.key(KeyCode::End.into());
        line.paste("!");
        line.key(ctrl('a'));
        line.key(KeyCode::Right.into());
        line.paste("-");
        line.key(ctrl('e'));
        line.key(KeyCode::Char('?').into());
        assert_eq!(line.text(), "l-ook here!?");
    }

    #[test]
    fn the_lines_of_a_pasted_text_stay_lines() {
        for ends in ["one\rtwo\rthree\r", "one\r\ntwo\r\nthree\r\n", "one\ntwo\nthree"] {
            let mut line = Line::of_at_most(100);
            assert_eq!(line.paste(ends), Typed::On);
            assert_eq!(line.text(), "one\ntwo\nthree");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_and_nothing_of_it_is_cut() {
        let mut line = Line::of_at_most(10);
        assert_eq!(line.paste("12345678"), Typed::On);
        assert_eq!(line.paste("abc"), Typed::Full);
        assert_eq!(line.key(KeyCode::Char('字').into()), Typed::Full);
        assert_eq!(line.text(), "12345678");
        assert_eq!(line.paste("ab"), Typed::On);
        assert_eq!(line.key(KeyCode::Char('x').into()), Typed::Full);
        assert_eq!(line.text(), "12345678ab");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_cursor_is_seen() {
        let mut line = typed("0123456789abcdefghijklmnopqrstuvwxyz");
        assert_eq!(line.shown(100), ("0123456789abcdefghijklmnopqrstuvwxyz".to_owned(), 36));
        assert_eq!(line.shown(10), ("rstuvwxyz".to_owned(), 9));
        for _ in 0..10 {
            line.key(KeyCode::Left.into());
        }
        assert_eq!(line.shown(10), ("klmnopqrs".to_owned(), 6));
        line.key(KeyCode::Home.into());
        assert_eq!(line.shown(10), ("012345678".to_owned(), 0));
        line.paste("a\n");
        line.paste("a\nb");
        assert_eq!(line.shown(10).0, "aa\\nb0123");
        assert_eq!(line.shown(1), (String::new(), 0));
    }
}
