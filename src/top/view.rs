//! The state as a picture. Rules only.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Sparkline, Table, TableState};

use super::model::{BAR_SECS, Deed, Mode, Model, Row, State};
use crate::plain::on_one_line;

/// Below this there is no picture.
const LEAST: (u16, u16) = (60, 12);
/// From this width on models have a column.
const WIDE: u16 = 100;

const HELP: [&str; 14] = [
    "up, down   choose an agent",
    "a          attach: the Codex UI on its thread; leave it, and you are here again",
    "s          say something to it: it joins the running turn, or begins one",
    "i          interrupt its turn; the agent stays",
    "c          close it after its turn; its thread is kept",
    "y, n       approve or decline what it asks, the oldest first",
    "/          show only agents with this in name, team, model or state; Esc shows all",
    "q          quit; the agents stay as they are",
    "",
    "asks       somebody is to decide: you, its client, or whoever is attached",
    "works      in a turn; idle: nothing to do; runs: its Codex cannot be listened to",
    "away       no server runs it; what you say waits in its queue",
    "QUEUE      texts that wait, and for how long the oldest has",
    "CTX        how much of the model's context is full, in per cent",
];
const KEYS: &str = "a attach  s say  i interrupt  c close  y/n decide  / filter  ? help  q quit";

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// There are.
    Some,
    /// There are none: `NO_COLOR`, or a terminal without.
    None,
}

impl Colours {
    fn of(self, colour: Color) -> Style {
        match self {
            Colours::Some => Style::new().fg(colour),
            Colours::None => Style::new(),
        }
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, colours: Colours) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return frame.render_widget(format!("at least {} x {} characters are needed", LEAST.0, LEAST.1), area);
    }
    // Names and one line of the table go before what its agents say.
    let rows = u16::try_from(model.shown().count()).unwrap_or(u16::MAX).clamp(1, (area.height - 8) / 2) + 1;
    let [title, table, pane, bars, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(headline(model), title);
    draw_table(frame, model, colours, table);
    if model.mode == Mode::Help {
        frame.render_widget(Paragraph::new(Text::from_iter(HELP)).block(pane_block(" keys and words ".into())), pane);
    } else {
        draw_pane(frame, model, colours, pane);
    }
    draw_bars(frame, model, colours, bars);
    draw_keys(frame, model, colours, keys);
}

fn headline(model: &Model) -> Line<'static> {
    let count = |state| model.rows.iter().filter(|row| model.state(row) == state).count();
    let states = [State::Asks, State::Works, State::Idle, State::Runs, State::Away].map(|state| (count(state), state));
    let states =
        states.into_iter().filter(|(many, _)| *many > 0).map(|(many, state)| format!("{many} {}", state.word()));
    let states: Vec<String> = states.collect();
    let agents = match model.rows.len() {
        0 => "no agents".to_owned(),
        many => format!("{many} agents: {}", states.join(", ")),
    };
    let closed = if model.closed > 0 { format!("; {} closed hidden", model.closed) } else { String::new() };
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
    let chosen = model.shown().position(|row| Some(&row.agent) == model.chosen.as_ref());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
}

fn cells(model: &Model, row: &Row, colours: Colours, is_wide: bool) -> Vec<Cell<'static>> {
    let (live, state) = (model.live(row), model.state(row));
    let name = if model.is_of_all { format!("{}@{}", row.name, row.team) } else { row.name.to_string() };
    let some = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let queue = match row.oldest.filter(|_| row.waiting > 0) {
        Some(oldest) => format!("{} {}", row.waiting, age(oldest, model.now)),
        None => some(row.waiting),
    };
    let tokens = live.and_then(|live| live.tokens).or(row.tokens).map(thousands).unwrap_or_default();
    let context = live.and_then(|live| live.context).map(|full| format!("{full}%")).unwrap_or_default();
    let ask = live.and_then(|live| live.asks.first()).map(|(_, ask)| format!("asks {}", ask.summary()));
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
    cells.push(Cell::from(on_one_line(&now)));
    cells
}

fn draw_pane(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) {
    let Some(row) = model.chosen() else {
        let nobody = if model.rows.is_empty() { "No agents yet." } else { "No agent is like that." };
        return frame.render_widget(Paragraph::new(nobody).block(pane_block(String::new())), area);
    };
    let model_of = row.model.as_deref().map(|of| format!(", {}", on_one_line(of))).unwrap_or_default();
    let thread = row.thread.as_ref().map(|thread| format!(", thread {thread}")).unwrap_or_default();
    let block = pane_block(format!(" {}{model_of}{thread} ", row.name));
    let inner = block.inner(area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let yellow = colours.of(Color::Yellow).add_modifier(Modifier::BOLD);
    let asks = model.live(row).into_iter().flat_map(|live| &live.asks);
    let asks = asks.map(|(_, ask)| format!("? asks {}; y approves, n declines", ask.summary()));
    let asks: Vec<Line<'_>> =
        asks.flat_map(|ask| wrapped(&ask, width)).map(|part| Line::styled(part, yellow)).collect();
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in model.lines(row).into_iter().flatten().rev() {
        let parts = wrapped(line, width);
        lines.extend(parts.into_iter().rev().map(|part| Line::styled(part, mark(line, colours))));
        if lines.len() >= height {
            break;
        }
    }
    lines.truncate(height.saturating_sub(asks.len()));
    let all = lines.into_iter().rev().chain(asks);
    frame.render_widget(Paragraph::new(Text::from_iter(all)).block(block), area);
}

fn mark(line: &str, colours: Colours) -> Style {
    match line.get(..2) {
        Some("> ") => colours.of(Color::Cyan),
        Some("$ " | "* " | "~ ") => colours.of(Color::Blue),
        Some("! ") => colours.of(Color::Red),
        Some("--") => colours.of(Color::DarkGray),
        _ => Style::new(),
    }
}

fn pane_block(title: String) -> Block<'static> {
    Block::bordered().title(title)
}

fn draw_bars(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) {
    let minute = usize::try_from(60 / BAR_SECS).unwrap_or(12);
    let last: u64 = model.bars(minute).iter().sum();
    let label = format!("{last} in the audit, last minute ");
    let [words, bars] =
        Layout::horizontal([Constraint::Length(u16::try_from(label.len()).unwrap_or(area.width)), Constraint::Fill(1)])
            .areas(area);
    frame.render_widget(label, words);
    let sparkline = Sparkline::default().data(model.bars(usize::from(bars.width))).style(colours.of(Color::Green));
    frame.render_widget(sparkline, bars);
}

fn draw_keys(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) {
    let name = |agent| model.row(agent).map(|row| row.name.to_string()).unwrap_or_default();
    let typing = |before: String, text: &str| {
        // The end of a long line is where one types.
        let room = usize::from(area.width).saturating_sub(before.len() + 1);
        let all = wrapped(text, room.max(1));
        format!("{before}{}_", all.last().map(String::as_str).unwrap_or_default())
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (text, style) = match &model.mode {
        Mode::Filter => (typing("show only: ".into(), model.filter.text()), bold),
        Mode::Steer(agent, line) => (typing(format!("to {}: ", name(agent)), line.text()), bold),
        Mode::Confirm(Deed::Interrupt(agent, _)) => (format!("end the turn of {}? y/N", name(agent)), bold),
        Mode::Confirm(Deed::Close(agent)) => (format!("close {} after its turn? y/N", name(agent)), bold),
        Mode::Help => ("any key goes back".to_owned(), bold),
        Mode::Commands => match (model.notice(), model.filter.text()) {
            (Some(notice), _) => (on_one_line(notice), colours.of(Color::Yellow)),
            (None, "") => (KEYS.to_owned(), Style::new()),
            (None, filter) => (format!("only {}; Esc shows all  {KEYS}", on_one_line(filter)), Style::new()),
        },
    };
    frame.render_widget(Line::styled(text, style), area);
}

/// A foreign line in parts of this width, with nothing in it that could move the cursor.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut room = width;
    for c in on_one_line(line).chars() {
        let wide = Span::raw(c.to_string()).width();
        if wide > room {
            parts.push(String::new());
            room = width;
        }
        room = room.saturating_sub(wide);
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
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
