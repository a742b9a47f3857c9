//! What the chosen agent says and asks, as a picture. Rules only.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph};

use super::asking::{Asked, NoYes};
use super::model::{Drawn, Model, Row};
use super::view::Colours;
use super::wrap;
use crate::plain::on_one_line;

/// The least that has a border and a line in it.
const LEAST: u16 = 3;

const HELP: [&str; 20] = [
    "up, down    choose an agent; so do k and j",
    "PgUp, PgDn  read what it asks to its end, or what it said",
    "a           attach: the Codex UI on it, and back",
    "s           say something to it: it joins the turn, or",
    "            begins one; Esc gives up what was typed",
    "i           interrupt its turn; the agent stays",
    "c           close it after its turn; its thread is kept",
    "y, n        approve or decline what it asks, oldest first",
    "/           show only agents with this in name, team,",
    "            model or state; Esc shows all",
    "q, Ctrl-C   quit; the agents stay as they are",
    "Ctrl-Z      back to the shell; fg brings you here again",
    "asks        somebody is to decide: you, its client,",
    "            or whoever is attached",
    "works       in a turn; idle: nothing to do;",
    "            runs: its Codex cannot be listened to",
    "away        no server runs it; texts wait in its queue",
    "QUEUE       texts that wait, and how long the oldest does",
    "CTX         how much of the model's context is full",
    "ana~1f0c    one of several of that name: how its id ends",
];

/// What the keys do; what words mean.
pub(super) fn draw_help(frame: &mut Frame<'_>, model: &Model, area: Rect) -> Drawn {
    let block = Block::bordered().title(" keys and words ");
    let inner = block.inner(area);
    let page = usize::from(inner.height);
    let scroll = model.scroll.min(HELP.len().saturating_sub(page));
    let more = if HELP.len() > page { " PgDn, PgUp " } else { "" };
    let seen = HELP.into_iter().skip(scroll).take(page);
    frame.render_widget(Paragraph::new(Text::from_iter(seen)).block(block.title_bottom(more)), area);
    Drawn { scroll, page, ..Drawn::default() }
}

/// The chosen agent; what it asks goes before what it has said.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, colours: Colours, area: Rect) -> Drawn {
    let Some(row) = model.chosen() else {
        frame.render_widget(Paragraph::new(model.nobody()).block(Block::bordered()), area);
        return Drawn::default();
    };
    let Some(asked) = model.live(row).and_then(|live| live.asks.first()) else {
        return draw_said(frame, model, row, colours, area);
    };
    let lines = asked.lines();
    let width = usize::from(area.width.saturating_sub(2));
    let rows: Vec<&str> = lines.iter().flat_map(|line| wrap::rows(line, width)).collect();
    let needed = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let before = area.height.saturating_sub(needed);
    let before = if before >= LEAST { before } else { 0 };
    let [said, ask] = Layout::vertical([Constraint::Length(before), Constraint::Min(LEAST)]).areas(area);
    if before > 0 {
        draw_said(frame, model, row, colours, said);
    }
    draw_ask(frame, model, (row, asked), &rows, colours, ask)
}

fn draw_ask(
    frame: &mut Frame<'_>,
    model: &Model,
    (row, asked): (&Row, &Asked),
    rows: &[&str],
    colours: Colours,
    area: Rect,
) -> Drawn {
    let facing = Some((row.agent.clone(), asked.request.clone()));
    let page = usize::from(area.height.saturating_sub(2));
    // Another ask is read from its beginning.
    let scroll = if model.drawn.ask == facing { model.scroll } else { 0 };
    let scroll = scroll.min(rows.len().saturating_sub(page));
    let end = (scroll + page).min(rows.len());
    let many = model.live(row).map_or(1, |live| live.asks.len());
    let which = if many > 1 { format!(", 1 of {many}") } else { String::new() };
    let can_be_approved = asked.can_be_approved();
    let keys = match can_be_approved {
        Ok(()) => "y approves, n declines",
        Err(NoYes::Answer) => "a answers in the Codex UI, n declines",
        Err(NoYes::Unseen) => "n declines; its client sees what it is (agent_approve)",
    };
    let more = if rows.len() > page {
        format!("; PgDn, PgUp: {} to {end} of {}", scroll + 1, rows.len())
    } else {
        String::new()
    };
    let yellow = colours.of(Color::Yellow).add_modifier(Modifier::BOLD);
    let block = Block::bordered()
        .border_style(yellow)
        .title(format!(" {} {}{which} ", model.whom(row).name, asked.kind()))
        .title_bottom(format!(" {keys}{more} "));
    let seen = rows[scroll..end].iter().copied();
    frame.render_widget(Paragraph::new(Text::from_iter(seen)).block(block), area);
    // What is not known yet is not read, though it is the same ask.
    let has_end = end == rows.len() && can_be_approved != Err(NoYes::Unseen);
    Drawn { ask: facing, has_end, scroll, page: page.saturating_sub(1).max(1) }
}

fn draw_said(frame: &mut Frame<'_>, model: &Model, row: &Row, colours: Colours, area: Rect) -> Drawn {
    let model_of = row.model.as_deref().map(|of| format!(", {}", on_one_line(of))).unwrap_or_default();
    let thread = row.thread.as_ref().map(|thread| format!(", thread {thread}")).unwrap_or_default();
    let block = Block::bordered().title(format!(" {}{model_of}{thread} ", model.whom(row).name));
    let inner = block.inner(area);
    let (width, page) = (usize::from(inner.width), usize::from(inner.height));
    // From the end: only what may be seen is wrapped.
    let mut rows: Vec<Line<'_>> = Vec::new();
    for line in model.lines(row).into_iter().flatten().rev() {
        let style = mark(line, colours);
        rows.extend(wrap::rows(line, width).into_iter().rev().map(|part| Line::styled(part, style)));
        if rows.len() >= model.scroll.saturating_add(page) {
            break;
        }
    }
    let scroll = model.scroll.min(rows.len().saturating_sub(page));
    let end = rows.len().min(scroll + page);
    rows.truncate(end);
    let seen = rows.into_iter().skip(scroll).rev();
    let more = if scroll > 0 { format!(" PgDn: {scroll} lines below ") } else { String::new() };
    frame.render_widget(Paragraph::new(Text::from_iter(seen)).block(block.title_bottom(more)), area);
    Drawn { scroll, page: page.saturating_sub(1).max(1), ..Drawn::default() }
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
