//! A line that somebody types.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// More than anybody types.
const MAX: usize = 4000;

/// Its text; the cursor is at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    text: String,
}

/// What becomes of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// It goes on.
    On,
    /// It is finished.
    Done,
    /// It is given up.
    Left,
}

impl Line {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Left,
            KeyCode::Char('c') if ctrl => return Typed::Left,
            KeyCode::Char('u') if ctrl => self.text.clear(),
            KeyCode::Char('w') if ctrl => {
                let kept = self.text.trim_end().rfind(' ').map_or(0, |space| space + 1);
                self.text.truncate(kept);
            }
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char(c) if !ctrl => self.add(c),
            _ => {}
        }
        Typed::On
    }

    /// Something that was typed elsewhere.
    pub(super) fn paste(&mut self, text: &str) {
        text.trim_end().chars().for_each(|c| self.add(c));
    }

    fn add(&mut self, c: char) {
        if self.text.len() < MAX {
            self.text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_corrected_and_finished() {
        let mut line = Line::default();
        for c in "look hare".chars() {
            assert_eq!(line.key(KeyCode::Char(c).into()), Typed::On);
        }
        line.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        line.paste("herex\n");
        line.key(KeyCode::Backspace.into());
        assert_eq!(line.key(KeyCode::Enter.into()), Typed::Done);
        assert_eq!(line.text(), "look here");
        assert_eq!(line.key(KeyCode::Esc.into()), Typed::Left);
        line.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(line.text(), "");
    }
}
