//! The state as a picture. Rules only.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row as TableRow, Table, TableState};

use super::model::{DOES_MAX, Drawn, Mode, Model, Row, State};
use super::{keys, pane};
use crate::plain::{both_ends, on_one_line};

/// Below this there is no picture.
const LEAST: (u16, u16) = (60, 12);
/// From this width on models have a column.
const WIDE: u16 = 100;

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// There are.
    Some,
    /// There are none: `NO_COLOR`, or a terminal without.
    None,
}

impl Colours {
    pub(super) fn of(self, colour: Color) -> Style {
        match self {
            Colours::Some => Style::new().fg(colour),
            Colours::None => Style::new(),
        }
    }
}

/// Draws all of it; says what of it the keys go by.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, colours: Colours) -> Drawn {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(format!("at least {} x {} characters are needed", LEAST.0, LEAST.1), area);
        return Drawn::default();
    }
    if matches!(model.mode, Mode::Help) {
        let [title, help, keys] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(area);
        frame.render_widget(headline(model), title);
        keys::draw(frame, model, keys);
        return pane::draw_help(frame, model, help);
    }
    let words = keys::notice(model, area);
    let said = u16::try_from(words.len()).unwrap_or(1).max(1);
    // Names and one line of the table go before what its agents say.
    let most = (area.height - 7 - said) / 2;
    let rows = u16::try_from(model.shown().count()).unwrap_or(u16::MAX).clamp(1, most.max(1)) + 1;
    let [title, table, pane, status, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows),
        Constraint::Min(3),
        Constraint::Length(said),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(headline(model), title);
    draw_table(frame, model, colours, table);
    if words.is_empty() {
        keys::draw_bars(frame, model, colours, status);
    } else {
        keys::draw_notice(frame, words, colours, status);
    }
    keys::draw(frame, model, keys);
    pane::draw(frame, model, colours, pane)
}

fn headline(model: &Model) -> Line<'static> {
    let count = |state| model.rows.iter().filter(|row| model.state(row) == state).count();
    let states = [State::Asks, State::Works, State::Idle, State::Runs, State::Away].map(|state| (count(state), state));
    let states =
        states.into_iter().filter(|(many, _)| *many > 0).map(|(many, state)| format!("{many} {}", state.word()));
    let states: Vec<String> = states.collect();
    let agents = match model.rows.len() {
        0 => "no agents".to_owned(),
        1 => format!("1 agent: {}", states.join(", ")),
        many => format!("{many} agents: {}", states.join(", ")),
    };
    let some = |count: usize, words: &str| if count > 0 { format!("; {count} {words}") } else { String::new() };
    let closed = some(model.unreadable, "unreadable") + &some(model.closed, "closed hidden");
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = format!("atm-agent-mcp top  {}  ", model.teams);
    Line::from(vec![Span::styled(title, bold), (agents + &closed).into()])
}

fn draw_table(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) {
    let is_wide = area.width >= WIDE;
    let name = if model.is_of_all { 22 } else { 14 };
    let mut widths = vec![name, 5, 5, 8, 4, 6, 4];
    let mut heads = vec!["NAME", "STATE", "SINCE", "QUEUE", "MAIL", "TOKENS", "CTX"];
    if is_wide {
        widths.push(18);
        heads.push("MODEL");
    }
    heads.push("NOW");
    let widths = widths.into_iter().map(Constraint::Length).chain([Constraint::Fill(1)]);
    let rows = model.shown().map(|row| TableRow::new(cells(model, row, colours, is_wide)));
    let table = Table::new(rows, widths)
        .header(TableRow::new(heads).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let agent = model.chosen.as_ref().map(|whom| &whom.agent);
    let chosen = model.shown().position(|row| Some(&row.agent) == agent);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
}

fn cells(model: &Model, row: &Row, colours: Colours, is_wide: bool) -> Vec<Cell<'static>> {
    let (live, state) = (model.live(row), model.state(row));
    let name = model.whom(row).name;
    let name = if model.is_of_all { format!("{name}@{}", row.team) } else { name };
    let some = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let queue = match row.oldest.filter(|_| row.waiting > 0) {
        Some(oldest) => format!("{} {}", row.waiting, age(oldest, model.now)),
        None => some(row.waiting),
    };
    let tokens = live.and_then(|live| live.tokens).or(row.tokens).map(thousands).unwrap_or_default();
    let context = live.and_then(|live| live.context).map(|full| format!("{full}%")).unwrap_or_default();
    let ask = live.and_then(|live| live.asks.first()).map(|asked| format!("asks {}", asked.ask.summary()));
    let now = ask.or_else(|| live.and_then(|live| live.does.clone())).unwrap_or_default();
    let coloured = match state {
        State::Asks => colours.of(Color::Yellow).add_modifier(Modifier::BOLD),
        State::Works => colours.of(Color::Green),
        State::Idle | State::Runs => Style::new(),
        State::Away => colours.of(Color::DarkGray),
    };
    let mut cells = vec![
        Cell::from(name),
        Cell::from(state.word()).style(coloured),
        Cell::from(age(model.since(row), model.now)),
        Cell::from(queue),
        Cell::from(some(row.unread)),
        Cell::from(tokens),
        Cell::from(context),
    ];
    cells.extend(is_wide.then(|| Cell::from(on_one_line(row.model.as_deref().unwrap_or_default()))));
    cells.push(Cell::from(both_ends(&now, DOES_MAX)));
    cells
}

/// How long ago, in the largest unit that fits.
fn age(since: Timestamp, now: Timestamp) -> String {
    match now.duration_since(since).as_secs().max(0) {
        secs @ 0..60 => format!("{secs}s"),
        secs @ 60..3600 => format!("{}m", secs / 60),
        secs @ 3600..86400 => format!("{}h", secs / 3600),
        secs => format!("{}d", secs / 86400),
    }
}

fn thousands(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}
