//! The lines below: what is going on, what came of a key, what the keys do. Rules only.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Sparkline};

use super::line::Line as Typing;
use super::model::{BAR_SECS, Deed, Mode, Model};
use super::view::Colours;
use super::wrap;
use crate::plain::both_ends;

const KEYS: &str = "a attach  s say  i interrupt  c close  y/n decide  / filter  ? help  q quit";
/// How much of a filter is shown, in columns, and how much of a name in a question.
const FILTER_SHOWN: usize = 16;
const NAME_SHOWN: usize = 24;
/// The lines that are never a notice's.
const OTHERS: u16 = 8;

/// What is to be said of the last key, in lines; there is room for both ends of a long sentence.
pub(super) fn notice(model: &Model, area: Rect) -> Vec<String> {
    let Some(notice) = model.notice() else { return Vec::new() };
    let (width, height) = (usize::from(area.width), usize::from(area.height.saturating_sub(OTHERS)));
    // A character may be two columns wide, and leave one free at the end of a line.
    let line = [width * height, width * height / 3].map(|most| both_ends(notice, most));
    let [rows, fewer] = [&line[0], &line[1]].map(|line| wrap::rows(line, width));
    let rows = if rows.len() > height { fewer } else { rows };
    rows.into_iter().map(str::to_owned).collect()
}

pub(super) fn draw_notice(frame: &mut Frame<'_>, words: Vec<String>, colours: Colours, area: Rect) {
    let lines = Text::from_iter(words).style(colours.of(Color::Yellow));
    frame.render_widget(Paragraph::new(lines), area);
}

pub(super) fn draw_bars(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) {
    let minute = usize::try_from(60 / BAR_SECS).unwrap_or(12);
    let last: u64 = model.bars(minute).iter().sum();
    let only = match model.filter.text() {
        "" => String::new(),
        filter => format!("only {}, Esc shows all; ", wrap::beginning(filter, FILTER_SHOWN).0),
    };
    let label = Line::from(format!("{only}{last} in the audit, last minute "));
    let [words, bars] = Layout::horizontal([
        Constraint::Length(u16::try_from(label.width()).unwrap_or(area.width)),
        Constraint::Fill(1),
    ])
    .areas(area);
    frame.render_widget(label, words);
    let sparkline = Sparkline::default().data(model.bars(usize::from(bars.width))).style(colours.of(Color::Green));
    frame.render_widget(sparkline, bars);
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let short = |name: &str| wrap::beginning(name, NAME_SHOWN).0;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (text, style) = match &model.mode {
        Mode::Filter => return draw_typing(frame, "show only: ", &model.filter, area),
        Mode::Steer(whom, line) => {
            let is_gone = model.row(&whom.agent).is_none();
            let gone = if is_gone { " (gone)" } else { "" };
            return draw_typing(frame, &format!("to {}{gone}: ", short(&whom.name)), line, area);
        }
        Mode::Confirm(Deed::Interrupt(whom, _)) => (format!("end the turn of {}? y/N", short(&whom.name)), bold),
        Mode::Confirm(Deed::Close(whom)) => (format!("close {} after its turn? y/N", short(&whom.name)), bold),
        Mode::Help => ("any key goes back".to_owned(), bold),
        Mode::Commands => (KEYS.to_owned(), Style::new()),
    };
    frame.render_widget(Line::styled(text, style), area);
}

fn draw_typing(frame: &mut Frame<'_>, before: &str, line: &Typing, area: Rect) {
    let before = Line::styled(before, Style::new().add_modifier(Modifier::BOLD));
    let [prompt, typed] = Layout::horizontal([
        Constraint::Length(u16::try_from(before.width()).unwrap_or(area.width)),
        Constraint::Fill(1),
    ])
    .areas(area);
    let (text, cursor) = line.shown(usize::from(typed.width));
    frame.render_widget(before, prompt);
    frame.render_widget(text, typed);
    frame.set_cursor_position(Position::new(typed.x + u16::try_from(cursor).unwrap_or(0), typed.y));
}
