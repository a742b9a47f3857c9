//! The report: findings as text or JSON, and the exit code. Rules only.

use std::fmt::Write;

use serde::Serialize;

use super::finding::{Advice, Check, Finding, Level, Mending};
use crate::plain::on_one_line;

/// The version of the JSON.
const VERSION: u32 = 1;

/// The exit code of an error, and of who could not look.
pub(super) const AGENTS_CANNOT_WORK: u8 = 2;

/// Everything that was found, in the order of the checks.
#[derive(Debug)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

/// Whether the reader sees colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Seen,
    Unseen,
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    level: Level,
    exit_code: u8,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    check: Check,
    level: Level,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<&'a str>,
    /// `possible`, `done` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix_error: Option<&'a str>,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>) -> Report {
        findings.sort_by_key(|finding| finding.check);
        Report { findings }
    }

    /// What matters most of what still stands.
    fn level(&self) -> Level {
        self.findings.iter().map(Finding::stands).max().unwrap_or(Level::Ok)
    }

    /// 0: all is well; 1: something is to be looked at; 2: agents cannot work.
    pub(super) fn code(&self) -> u8 {
        match self.level() {
            Level::Ok | Level::Note => 0,
            Level::Warning => 1,
            Level::Error => AGENTS_CANNOT_WORK,
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> impl Serialize + '_ {
        Json {
            v: VERSION,
            level: self.level(),
            exit_code: self.code(),
            findings: self.findings.iter().map(JsonFinding::of).collect(),
        }
    }

    /// For people.
    pub(super) fn text(&self, colour: Colour) -> String {
        let mut text = String::new();
        let mut last = None;
        for finding in &self.findings {
            if last.replace(finding.check) != Some(finding.check) {
                let gap = if text.is_empty() { "" } else { "\n" };
                text += &format!("{gap}{}\n", colour.bold(finding.check.title()));
            }
            tell(&mut text, finding, colour);
        }
        let level = self.level();
        text += &format!("\n{}\n", colour.of(level, &self.verdict()));
        let possible = self.findings.iter().filter(|finding| matches!(finding.mending, Mending::Possible(_))).count();
        if possible > 0 {
            text += &format!("`atm-agent-mcp doctor --fix` mends {possible} of it.\n");
        }
        text
    }

    fn verdict(&self) -> String {
        let count = |level: Level| self.findings.iter().filter(|finding| finding.stands() == level).count();
        let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (counted(count(Level::Error), "error"), counted(count(Level::Warning), "warning"));
        match self.level() {
            Level::Ok | Level::Note => "All is well.".to_owned(),
            Level::Warning => format!("{warnings}: agents work, but this is to be looked at."),
            Level::Error => format!("{errors}, {warnings}: agents cannot work until the errors are mended."),
        }
    }
}

impl<'a> JsonFinding<'a> {
    fn of(finding: &'a Finding) -> JsonFinding<'a> {
        let (fix, fix_error) = match &finding.mending {
            Mending::ByHand => (None, None),
            Mending::Possible(_) => (Some("possible"), None),
            Mending::Done => (Some("done"), None),
            Mending::Failed(why) => (Some("failed"), Some(why.as_str())),
        };
        let Finding { check, level, what, advice, .. } = finding;
        let (why, mend) = (advice.as_ref().map(|advice| advice.why.as_str()), finding.mend());
        JsonFinding { check: *check, level: *level, what, why, mend, fix, fix_error }
    }
}

fn tell(text: &mut String, finding: &Finding, colour: Colour) {
    let word = match (&finding.mending, finding.level) {
        (Mending::Done, _) => "mended",
        (_, Level::Ok) => "ok",
        (_, Level::Note) => "note",
        (_, Level::Warning) => "warning",
        (_, Level::Error) => "error",
    };
    let mark = colour.of(finding.stands(), &format!("{word:<7}"));
    let failed = match &finding.mending {
        Mending::Failed(why) => Some(why),
        Mending::ByHand | Mending::Possible(_) | Mending::Done => None,
    };
    // What others say in it has no lines that could pose as ours.
    let mut lines = finding.what.lines().map(on_one_line);
    writeln!(text, "  {mark}  {}", lines.next().unwrap_or_default()).expect("a text takes it");
    for line in lines {
        writeln!(text, "           | {line}").expect("a text takes it");
    }
    if finding.mending == Mending::Done {
        return;
    }
    let advice = finding.advice.iter().flat_map(|Advice { why, mend }| [("why: ", why), ("mend: ", mend)]);
    for (word, said) in advice.chain(failed.map(|why| ("--fix could not: ", why))) {
        writeln!(text, "           {}{}", colour.dim(word), on_one_line(said)).expect("a text takes it");
    }
}

impl Colour {
    fn of(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Ok => "32",
            Level::Note => "36",
            Level::Warning => "33",
            Level::Error => "31",
        };
        self.with(code, text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Colour::Seen => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Unseen => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Fix, Trouble};
    use super::*;

    fn report() -> Report {
        Report::new(vec![
            Check::Leftovers.warning("a dead server").because("it holds memory").mend("doctor --fix").fix(Fix::Runs),
            Check::Programs.ok("Codex 0.169.0"),
            Check::Programs
                .note("no Claude\u{1b}[2J Code\nmend: rm -r /")
                .because("it is optional")
                .mend("nothing needs to be done"),
        ])
    }

    #[test]
    fn the_exit_code_says_how_bad_it_is_and_what_was_mended_does_not_count() {
        let code = |findings| Report::new(findings).code();
        let trouble = |level: fn(Check, &'static str) -> Trouble| level(Check::Programs, "x").because("y").mend("z");
        let (note, warning, error) = (trouble(Check::note), trouble(Check::warning), trouble(Check::error));
        assert_eq!(code(vec![]), 0);
        assert_eq!(code(vec![note, Check::Codex.ok("y")]), 0);
        assert_eq!(code(vec![warning.clone(), Check::Codex.ok("y")]), 1);
        assert_eq!(code(vec![warning.clone(), error]), 2);
        let after = |mending| Finding { mending, ..warning.clone() };
        assert_eq!(code(vec![after(Mending::Done)]), 0);
        assert_eq!(code(vec![after(Mending::Failed("no".into()))]), 1);
    }

    #[test]
    fn a_finding_is_told_with_why_and_what_mends_it() {
        let expected = "\
Programs
  ok       Codex 0.169.0
  note     no Claude\\u{1b}[2J Code
           | mend: rm -r /
           why: it is optional
           mend: nothing needs to be done

What servers left
  warning  a dead server
           why: it holds memory
           mend: doctor --fix

1 warning: agents work, but this is to be looked at.
`atm-agent-mcp doctor --fix` mends 1 of it.
";
        assert_eq!(report().text(Colour::Unseen), expected);
        let coloured = report().text(Colour::Seen);
        assert!(
            coloured.contains("\u{1b}[33mwarning\u{1b}[0m  a dead") && !coloured.contains("\u{1b}[2J"),
            "{coloured}"
        );
    }

    #[test]
    fn what_was_mended_is_told_as_such_and_what_could_not_be_with_the_reason() {
        let mut report = report();
        report.findings[2].mending = Mending::Done;
        let text = report.text(Colour::Unseen);
        assert!(text.contains("  mended   a dead server\n\nAll is well.\n"), "{text}");
        report.findings[2].mending = Mending::Failed("no right to".into());
        let text = report.text(Colour::Unseen);
        assert!(text.contains("--fix could not: no right to\n\n1 warning:"), "{text}");
    }

    #[test]
    fn programs_are_told_the_same_in_json() {
        let json = serde_json::to_value(report().json()).unwrap();
        assert_eq!((&json["v"], &json["level"], &json["exit_code"]), (&1.into(), &"warning".into(), &1.into()));
        let last = &json["findings"][2];
        let expected = serde_json::json!({
            "check": "leftovers", "level": "warning", "what": "a dead server", "why": "it holds memory",
            "mend": "doctor --fix", "fix": "possible",
        });
        assert_eq!(*last, expected);
    }

    #[test]
    fn the_guide_describes_every_check_and_every_field_of_the_json() {
        let guide = include_str!("../../../docs/guides/trouble.md");
        let mut report = report();
        report.findings[2].mending = Mending::Failed("no right to".into());
        let told = report.json();
        let json = serde_json::to_value(&told).unwrap();
        let mut rows: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        rows.extend(json["findings"][2].as_object().unwrap().keys().map(|field| format!("findings[].{field}")));
        rows.extend(Check::ALL.map(|check| serde_json::to_value(check).unwrap().as_str().unwrap().to_owned()));
        assert_eq!(rows.len(), 4 + 7 + Check::ALL.len());
        let missing: Vec<&String> = rows.iter().filter(|row| !guide.contains(&format!("| `{row}` |"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
